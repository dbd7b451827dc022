"""TLS at the endpoint: the same promises, and a handshake is a connection that was not let in yet."""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.certificates import TlsOptions, server_context, validity_s
from ingest.limits import Limits
from ingest.packets import Connack, Connect, Disconnect, Pingreq, Pingresp, Puback, ReasonCode, Will, encode
from ingest.tls import TlsLayer
from ingest.turns import TURN_S, Turns
from tests import certificates
from tests.ingest.box import Box, Device, connect, data, narrow, numbered, until
from tests.ingest.device5 import Device5, hello5

WILL = Will("takean/v1/WL-01/status", b"offline", 1, True)
HELLO = Connect("gauge", user_name="WL-01", password=b"right")
BEGIN_S, END_S = 1_767_225_600, 2_398_377_600
"""2026-01-01 and 2046-01-01."""


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> TlsOptions:
    certificate, key = certificates.make(tmp_path_factory.mktemp("tls"))
    return TlsOptions(host="127.0.0.1", port=0, certificate=certificate, key=key)


@pytest.fixture
def make_tls_box(options: TlsOptions) -> Iterator[Callable[..., Box]]:
    made: list[Box] = []

    def make(chosen: TlsOptions = options, **limits: float) -> Box:
        made.append(Box(Limits(**limits), tls=chosen))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for box in made:
        box.close()


@pytest.fixture
def tls_box(make_tls_box: Callable[..., Box]) -> Box:
    return make_tls_box()


@pytest.fixture
def crashes(tls_box: Box) -> list[dict[str, Any]]:
    """What the event loop had to swallow."""
    found: list[dict[str, Any]] = []
    tls_box.loop.call_soon_threadsafe(tls_box.loop.set_exception_handler, lambda _, context: found.append(context))
    return found


def trusting(options: TlsOptions, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """A device that believes our certificate and no other."""
    context = ssl.create_default_context(cafile=str(options.certificate))
    context.minimum_version = context.maximum_version = version
    return context


def secured(box: Box, context: ssl.SSLContext, kind: type[Device] = Device) -> Device:
    """A device that has shaken hands."""
    device = kind(box)
    device.socket.close()
    device.socket = context.wrap_socket(
        socket.create_connection(("127.0.0.1", box.tls_port), timeout=10), server_hostname="localhost"
    )
    return device


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_message_by_tls_is_acknowledged_when_it_is_safe(
    tls_box: Box, options: TlsOptions, version: ssl.TLSVersion
) -> None:
    with secured(tls_box, trusting(options, version)) as device:
        assert device.send(HELLO, *numbered(300)).receive(301) == [Connack(0), *(Puback(n) for n in range(1, 301))]
        assert device.send(data(bytes(200_000), 7)).receive() == [Puback(7)]
    assert len(tls_box.messages) == 301
    assert len(tls_box.messages[-1].payload) == 200_000


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_stands_behind_a_connect_is_heard_to_the_good_bye_when_the_device_is_gone_at_once(
    tls_box: Box, options: TlsOptions, version: ssl.TLSVersion
) -> None:
    last = Connect("gauge", will=WILL, user_name="WL-01", password=b"right")
    with secured(tls_box, trusting(options, version)) as device:
        device.send(last, *(data(bytes(1_000)) for _ in range(400)), Disconnect())
        device.socket.shutdown(socket.SHUT_WR)
        until(lambda: tls_box.endpoint.counters.connections == 0)
    until(lambda: len(tls_box.messages) == 400)
    assert tls_box.endpoint.counters.closed["disconnect"] == 1
    assert tls_box.statuses == []


def test_hands_are_shaken_a_few_at_a_time(options: TlsOptions) -> None:
    """Whoever else has something to say waits for a few milliseconds, not for a district's handshakes."""
    context, trusted = server_context(options.certificate, options.key), trusting(options)

    class Wire(asyncio.Transport):
        def __init__(self) -> None:
            super().__init__()
            self.written = b""

        def write(self, data: bytes) -> None:  # type: ignore[override]
            self.written += data

        def is_closing(self) -> bool:
            return False

        def resume_reading(self) -> None:
            """Nothing to read."""

    class Quiet(asyncio.Protocol):
        is_let_in = False

        def turn_away(self, cause: str, why: str) -> None:
            raise AssertionError(f"{cause}: {why}")

    async def run() -> list[int]:
        loop, wires = asyncio.get_running_loop(), [Wire() for _ in range(40)]
        turns = Turns()
        now_s = loop.time()
        loop.time = lambda: now_s  # type: ignore[method-assign]
        shaken = list[int]()

        class Counted(ssl.SSLObject):
            def do_handshake(self) -> None:
                nonlocal now_s
                now_s += TURN_S / 4
                super().do_handshake()

        context.sslobject_class = Counted
        for wire in wires:
            out = ssl.MemoryBIO()
            with contextlib.suppress(ssl.SSLWantReadError):
                trusted.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost").do_handshake()
            layer = TlsLayer(Quiet(), context, turns)
            layer.connection_made(wire)
            layer.data_received(out.read())
        while sum(shaken) < len(wires):
            before = sum(bool(wire.written) for wire in wires)
            await asyncio.sleep(0)
            shaken.append(sum(bool(wire.written) for wire in wires) - before)
        return shaken

    assert max(asyncio.run(run())) <= 4


def test_who_does_not_say_who_he_is_is_not_listened_to_for_long(tls_box: Box) -> None:
    """A ClientHello that goes on and on."""
    with Device(tls_box, port=tls_box.tls_port) as device, contextlib.suppress(OSError):
        device.socket.sendall(b"\x16\x03\x01\x40\x00\x01\x01\x00\x00" + bytes(16_380))
        device.socket.sendall((b"\x16\x03\x01\x40\x00" + bytes(16_384)) * 2)
        until(lambda: tls_box.endpoint.counters.closed["tls_failed"] == 1)
    until(lambda: tls_box.endpoint.counters.connections == 0)


def test_no_version_before_tls_1_2_is_spoken(options: TlsOptions) -> None:
    context = server_context(options.certificate, options.key)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION


def test_a_device_that_does_not_believe_us_says_nothing_and_is_forgotten(
    tls_box: Box, crashes: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        secured(tls_box, ssl.create_default_context())
    until(lambda: tls_box.endpoint.counters.closed["tls_failed"] == 1)
    until(lambda: tls_box.endpoint.counters.connections == 0)
    assert "127.0.0.1 was turned away: TLS failed: TLSV1_ALERT_UNKNOWN_CA" in caplog.text
    assert crashes == []


def test_tls_may_be_cut_anywhere(tls_box: Box, options: TlsOptions, crashes: list[dict[str, Any]]) -> None:
    inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting(options).wrap_bio(inside, outside, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", tls_box.tls_port), timeout=10) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def exchange(work: Callable[[], Any]) -> Any:
            while True:
                try:
                    found = work()
                except ssl.SSLWantReadError:
                    found = None
                for byte in outside.read():
                    raw.sendall(bytes((byte,)))
                if found is not None:
                    return found
                inside.write(raw.recv(65_536))

        def shake() -> bool:
            client.do_handshake()
            return True

        exchange(shake)
        exchange(lambda: client.write(encode(HELLO) + encode(data(b"x", 1))))
        answers = b""
        while len(answers) < 8:
            answers += exchange(lambda: client.read(100))
    assert answers == encode(Connack(0)) + encode(Puback(1))
    assert crashes == []


@pytest.mark.parametrize("says_good_bye", [True, False], ids=["close_notify", "cut"])
def test_the_end_of_tls_is_no_good_bye_of_mqtt_and_leaves_the_will(
    tls_box: Box, options: TlsOptions, says_good_bye: bool
) -> None:
    with secured(tls_box, trusting(options)) as device:
        device.send(Connect("gauge", True, 60, WILL, "WL-01", b"right")).receive()
        if says_good_bye:
            assert isinstance(device.socket, ssl.SSLSocket)
            with contextlib.suppress(OSError):
                device.socket.unwrap()
    until(lambda: tls_box.statuses)
    assert tls_box.statuses == [("WL-01", b"offline", 1_000)]


def test_stopping_is_said_by_tls_too(tls_box: Box, options: TlsOptions) -> None:
    with secured(tls_box, trusting(options), Device5) as device:
        device.send(hello5()).receive()
        stopping = threading.Thread(target=lambda: tls_box.run(tls_box.endpoint.stop()))
        stopping.start()
        assert device.receive_all() == [Disconnect(ReasonCode.SERVER_SHUTTING_DOWN)]
        stopping.join()


def test_a_client_id_is_taken_over_by_the_other_port(tls_box: Box, options: TlsOptions) -> None:
    with connect(tls_box) as plain, secured(tls_box, trusting(options)) as device:
        assert device.send(HELLO).receive() == [Connack(0)]
        assert plain.receive_all() == []
        assert device.send(Pingreq()).receive() == [Pingresp()]


@pytest.mark.parametrize("said", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "a byte", "a beginning"])
def test_half_a_handshake_is_a_connection_that_was_not_let_in(make_tls_box: Callable[..., Box], said: bytes) -> None:
    box = make_tls_box(connect_s=0.1, unconnected=5)
    slow = [Device(box, port=box.tls_port) for _ in range(20)]
    for device in slow:
        device.send(said)
    with connect(box) as honest:
        assert honest.send(data(b"x", 1)).receive() == [Puback(1)]
    for device in slow:
        assert device.receive_all() == []
        device.vanish()
    until(lambda: box.endpoint.counters.connections == 0)
    closed = box.endpoint.counters.closed
    assert closed["too_many_unconnected"] >= 15
    assert closed["too_many_unconnected"] + closed["no_connect"] == 20


def test_a_handshake_without_a_connect_behind_it_takes_its_time_too(
    make_tls_box: Callable[..., Box], options: TlsOptions
) -> None:
    box = make_tls_box(connect_s=0.2)
    with secured(box, trusting(options)) as device:
        assert device.receive_all() == []
    assert box.endpoint.counters.closed == {"no_connect": 1}


def test_one_address_has_few_handshakes_at_a_time(make_tls_box: Callable[..., Box], options: TlsOptions) -> None:
    box = make_tls_box(unconnected_per_address=2)
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(Device(box, port=box.tls_port))
        until(lambda: box.endpoint.counters.connections == 2)
        assert stack.enter_context(Device(box, port=box.tls_port)).receive_all() == []
    until(lambda: box.endpoint.counters.connections == 0)
    with secured(box, trusting(options)) as device:
        assert device.send(HELLO).receive() == [Connack(0)]


def test_who_speaks_plainly_to_the_port_of_tls_is_closed_at_once_and_the_log_says_why(
    tls_box: Box, caplog: pytest.LogCaptureFixture, crashes: list[dict[str, Any]]
) -> None:
    with Device(tls_box, port=tls_box.tls_port) as device:
        assert device.send(HELLO).receive_all() == []
    assert "was turned away: it does not speak TLS" in caplog.text
    assert tls_box.endpoint.counters.closed == {"not_tls": 1}
    assert crashes == []


def test_who_speaks_tls_to_the_plain_port_is_closed_at_once_and_the_log_says_why(
    tls_box: Box, options: TlsOptions, caplog: pytest.LogCaptureFixture
) -> None:
    raw = socket.create_connection(("127.0.0.1", tls_box.port), timeout=10)
    with raw, pytest.raises(OSError):  # noqa: PT011
        trusting(options).wrap_socket(raw, server_hostname="localhost")
    assert "was turned away: it speaks TLS, and this port is for plain MQTT" in caplog.text
    assert tls_box.endpoint.counters.closed == {"malformed": 1}


def test_who_is_turned_away_by_the_hundred_is_said_once(tls_box: Box, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="ingest.endpoint")
    for _ in range(100):
        with Device(tls_box, port=tls_box.tls_port) as device:
            assert device.send(HELLO).receive_all() == []
    assert len(caplog.records) == 1


@pytest.mark.parametrize("at", [0, 5, 11, 60])
def test_noise_in_a_handshake_ends_it_without_a_crash(tls_box: Box, crashes: list[dict[str, Any]], at: int) -> None:
    inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(inside, outside, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = bytearray(outside.read())
    hello[at:at] = b"\xff\xfe\xfd"
    with Device(tls_box, port=tls_box.tls_port) as device:
        device.send(bytes(hello))
        device.socket.shutdown(socket.SHUT_WR)
        while device.socket.recv(1_000):  # an alert, perhaps
            pass
    until(lambda: tls_box.endpoint.counters.connections == 0)
    assert crashes == []


def test_noise_after_the_handshake_ends_it_and_leaves_the_will(
    tls_box: Box, options: TlsOptions, crashes: list[dict[str, Any]]
) -> None:
    with secured(tls_box, trusting(options)) as device:
        device.send(Connect("gauge", True, 60, WILL, "WL-01", b"right"), data(b"x", 1)).receive(2)
        with socket.socket(fileno=os.dup(device.socket.fileno())) as raw:
            raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        with contextlib.suppress(OSError):
            device.receive_all()
    until(lambda: tls_box.statuses == [("WL-01", b"offline", 1_000)])
    assert tls_box.payloads == [b"x"]
    assert crashes == []


def test_a_peer_of_tls_that_never_takes_its_answers_is_cut_off(
    make_tls_box: Callable[..., Box], options: TlsOptions
) -> None:
    box = make_tls_box(answers_s=0.1, close_s=0.1)
    with secured(box, trusting(options)) as device:
        device.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        device.send(HELLO).receive()
        narrow(box)

        def send() -> None:
            with contextlib.suppress(OSError):
                device.send(b"\xc0\0" * 1_000_000)

        sender = threading.Thread(target=send)
        sender.start()
        until(lambda: box.endpoint.counters.closed)
        sender.join()
        until(lambda: box.endpoint.counters.connections == 0)
    assert box.endpoint.counters.closed == {"answers_not_taken": 1}


def test_a_new_certificate_is_shown_without_a_restart_and_a_broken_one_is_not(
    tmp_path: Path, make_tls_box: Callable[..., Box], caplog: pytest.LogCaptureFixture
) -> None:
    first, key = certificates.make(tmp_path, "first")
    second, second_key = certificates.make(tmp_path, "second")
    shown = TlsOptions(host="127.0.0.1", port=0, certificate=tmp_path / "c.pem", key=tmp_path / "k.pem")
    shown.certificate.write_bytes(first.read_bytes())
    shown.key.write_bytes(key.read_bytes())
    box = make_tls_box(shown)

    def who(trusted: Path) -> list[Any]:
        context = ssl.create_default_context(cafile=str(trusted))
        with secured(box, context) as device:
            return device.send(HELLO).receive()

    assert who(first) == [Connack(0)]
    shown.certificate.write_bytes(second.read_bytes())  # and its key a moment later
    assert who(first) == [Connack(0)]
    assert "the one before goes on" in caplog.text
    shown.key.write_bytes(second_key.read_bytes())
    assert who(second) == [Connack(0)]
    shown.certificate.unlink()
    assert who(second) == [Connack(0)]


def test_when_a_certificate_holds_is_known_also_after_it(options: TlsOptions, tmp_path: Path) -> None:
    assert validity_s(options.certificate, options.key) == (BEGIN_S, END_S)
    over = certificates.make(tmp_path, begin="20200101000000Z", end="20210101000000Z")
    assert validity_s(*over) == (1_577_836_800, 1_609_459_200)
