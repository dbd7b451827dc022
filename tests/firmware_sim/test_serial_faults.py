"""Faults hit by seed, as often as they are told to, and only then."""

from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.serial import Faults, Plantower, Ultrasonic
from firmware_sim.serial.faults import Faulty
from firmware_sim.serial.ultrasonic import frame
from tests.builders import thorough


def heard(faults: Faults, *, frames: int = 400) -> list[bytes]:
    meter = Faulty(Ultrasonic(period_s=1.0), faults)
    state, said = meter.start(0.0), []
    for second in range(1, frames + 1):
        state, sent = meter.step(state, b"", {"distance_m": 1.0 + second / 1000}, float(second))
        said.append(sent)
    return said


def true(second: int) -> bytes:
    return frame(1000 + second)


def test_without_faults_nothing_is_changed() -> None:
    assert heard(Faults(seed=9)) == [true(second) for second in range(1, 401)]


def test_the_same_seed_spoils_the_same_frames_and_another_spoils_others() -> None:
    def some(seed: int) -> Faults:
        return Faults(seed=seed, flipped=0.2, cut=0.2, noise=0.2, stuck=0.3, silent=0.2, spell_s=20.0)

    assert heard(some(1)) == heard(some(1)) != heard(some(2))


@thorough(40)
@given(st.integers(0, 2**32), st.integers(1, 10_000), st.binary(min_size=4, max_size=60))
def test_a_turned_bit_never_leaves_a_checksum_standing(seed: int, number: int, content: bytes) -> None:
    whole = content + bytes([sum(content) & 0xFF])
    spoiled = Faults(seed=seed, flipped=1.0).spoiled(whole, number, 0.0)
    assert len(spoiled) == len(whole)
    assert sum(a != b for a, b in zip(spoiled, whole, strict=True)) == 1
    assert sum(spoiled[:-1]) & 0xFF != spoiled[-1]


def test_shares_are_kept_to() -> None:
    said = heard(Faults(seed=3, flipped=0.25))
    spoiled = sum(sent != true(second) for second, sent in enumerate(said, 1))
    assert 70 <= spoiled <= 130


def test_cut_frames_are_shorter_and_noise_stands_before_whole_ones() -> None:
    assert all(0 < len(sent) < 4 and true(n).startswith(sent) for n, sent in enumerate(heard(Faults(cut=1.0)), 1))
    assert all(len(sent) == 5 and sent[1:] == true(n) for n, sent in enumerate(heard(Faults(noise=1.0)), 1))


def test_a_stuck_instrument_repeats_what_it_saw_when_the_spell_began() -> None:
    said = heard(Faults(stuck=1.0, during=(100.0, 200.0)))
    assert said[98] == true(99)
    assert set(said[99:199]) == {true(100)}
    assert said[199] == true(200)


def test_silence_lasts_whole_spells_and_only_while_it_is_to_go_wrong() -> None:
    said = heard(Faults(seed=5, silent=0.5, spell_s=20.0))
    for spell in range(20):
        inside = {bool(sent) for second, sent in enumerate(said, 1) if second // 20 == spell}
        assert len(inside) == 1
    assert 0 < sum(not sent for sent in said) < 400
    limited = heard(Faults(silent=1.0, during=(50.0, 60.0)))
    assert [n for n, sent in enumerate(limited, 1) if not sent] == list(range(50, 60))


def test_the_cable_comes_out_in_spells() -> None:
    faults = Faults(seed=2, unplugged=0.5, spell_s=10.0)
    assert {faults.is_unplugged(at) for at in range(0, 400, 10)} == {True, False}
    assert not Faults(unplugged=1.0, during=(10.0, 20.0)).is_unplugged(20.0)


def test_an_answer_of_several_frames_keeps_the_instrument_in_step() -> None:
    sensor = Faulty(Plantower(zeros_s=0.0), Faults(flipped=1.0))
    state, sent = sensor.step(sensor.start(0.0), b"", {"pm2_5_ug_m3": 5.0}, 1.0)
    assert len(sent) == 32
    assert sum(sent[:30]) != int.from_bytes(sent[30:])
    assert state.frames == 1
