"""What `check-config` says of the certificate that devices are shown."""

from pathlib import Path

import pytest

from ingest.certificates import TlsOptions
from takean import tls_settings
from takean.settings import Mqtt
from tests import certificates

NOW_US = 1_795_330_200_000_000
GOOD = Mqtt(certificate_file="server.crt", key_file="server.key")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("config")
    certificates.make(made)
    certificates.make(made, "other")
    certificates.make(made, "open")[1].chmod(0o640)
    (made / "text").write_text("nothing of the kind\n")
    (made / "text").chmod(0o600)
    return made


def told(folder: Path, mqtt: Mqtt) -> list[str]:
    return [mistake.text for mistake in tls_settings.mistakes(folder / "takean.toml", mqtt)]


def test_without_a_certificate_there_is_no_tls_and_nothing_to_mend(folder: Path) -> None:
    assert told(folder, Mqtt()) == []
    assert tls_settings.options(folder, Mqtt()) is None


def test_a_certificate_with_its_key_is_one_more_way_for_devices(folder: Path) -> None:
    assert told(folder, GOOD) == []
    assert tls_settings.options(folder, GOOD) == TlsOptions(
        host="127.0.0.1", port=8883, certificate=folder / "server.crt", key=folder / "server.key"
    )
    absolute = Mqtt(certificate_file=str(folder / "server.crt"), key_file=str(folder / "server.key"))
    assert told(Path("/nowhere"), absolute) == []


@pytest.mark.parametrize(
    ("mqtt", "words"),
    [
        (Mqtt(plain=False), ["no device could connect"]),
        (Mqtt(certificate_file="server.crt"), ["key_file", "is empty, but certificate_file is not"]),
        (Mqtt(key_file="server.key"), ["certificate_file", "is empty, but key_file is not"]),
        (Mqtt(certificate_file="server.crt", key_file="server.key", tls_port=1883), ["tls_port", "is 1883, as port"]),
        (Mqtt(certificate_file="away.crt", key_file="server.key"), ["away.crt", "is missing or cannot be read"]),
        (Mqtt(certificate_file="server.crt", key_file="away.key"), ["away.key", "is missing or cannot be read"]),
        (Mqtt(certificate_file="server.crt", key_file="other.key"), ["server.crt", "cannot be used with other.key"]),
        (Mqtt(certificate_file="text", key_file="server.key"), ["text", "cannot be used with server.key"]),
        (Mqtt(certificate_file="server.crt", key_file="text"), ["server.crt", "cannot be used with text"]),
        (Mqtt(certificate_file="open.crt", key_file="open.key"), ["open.key", "can be read by others", "chmod 600"]),
    ],
    ids=[
        "no way in",
        "no key",
        "no certificate",
        "one port",
        "away",
        "key away",
        "another's key",
        "no PEM",
        "no key in it",
        "open",
    ],
)
def test_a_mistake_is_named_with_what_to_do(folder: Path, mqtt: Mqtt, words: list[str]) -> None:
    (text,) = told(folder, mqtt)
    assert all(word in text for word in words), text


def test_nothing_is_asked_of_a_certificate_where_no_device_connects(folder: Path) -> None:
    assert told(folder, Mqtt(enabled=False, certificate_file="away.crt", key_file="away.key", plain=False)) == []


@pytest.mark.parametrize(
    ("begin", "end", "words"),
    [
        ("20250101000000Z", "20260601000000Z", "ended 2026-06-01 00:00 UTC"),
        ("20270101000000Z", "20280101000000Z", "begins only 2027-01-01 00:00 UTC"),
    ],
)
def test_a_certificate_that_does_not_hold_now_is_named_and_stops_no_start(
    tmp_path: Path, begin: str, end: str, words: str
) -> None:
    certificates.make(tmp_path, begin=begin, end=end)
    assert told(tmp_path, GOOD) == [], "a box whose clock is wrong must start"
    chosen = tls_settings.options(tmp_path, GOOD)
    assert chosen is not None
    (mistake,) = tls_settings.out_of_date(chosen, NOW_US)
    assert words in mistake.text


def test_a_certificate_that_holds_is_not_out_of_date(folder: Path) -> None:
    chosen = tls_settings.options(folder, GOOD)
    assert chosen is not None
    assert list(tls_settings.out_of_date(chosen, NOW_US)) == []
