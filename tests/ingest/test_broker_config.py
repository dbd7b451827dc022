"""`takean broker config`: the files it writes, on a real Mosquitto."""

import base64
import re
import socket
import ssl
import stat
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from ingest import credentials
from ingest.credentials import Credentials
from ingest.networks import Network
from ingest.topics import Topics
from sensors.stations import ConfigError
from takean import broker_config
from takean.broker_config import Listener
from tests.builders import T0_US
from tests.ingest.box import PATIENCE_S, until
from tests.ingest.mosquitto import BrokerBox, Login, Mosquitto, free_port, publish

TOPICS = Topics("takean/v1")
NETWORKS = {
    "cs": Network(via="chirpstack"),
    "sp": Network(via="sparkplug", group="river"),
    "gw": Network(via="stations", stations=("WL-02",)),
}
UPLINK = "application/a/device/0011223344556677/event/up"
DEPLOY = Path(__file__).parents[2] / "deploy"


def held() -> Credentials:
    made = credentials.create()
    for station in ("WL-01", "WL-02"):
        made = credentials.with_station(made, station, f"secret of {station}")
    for name, network in NETWORKS.items():
        made = credentials.with_network(made, name, network, f"secret of {name}")
    return made


@dataclass
class Written:
    """A broker on the files, and what they say to Takean."""

    mosquitto: Mosquitto
    folder: Path
    state: Path
    settings: dict[str, str | int]

    @property
    def ca(self) -> str:
        return str(self.folder / "ca.crt")

    def login(self, name: str, secret: str = "") -> Login:
        return Login(name, secret or f"secret of {name}", self.ca)


def write(folder: Path, state: Path, port: int, secrets: Credentials, **more: bool) -> broker_config.Written:
    return broker_config.write(
        folder, state=state, topics=TOPICS, held=secrets, listener=Listener(port=port), now_us=T0_US, **more
    )


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Written]:
    folder, state, port = tmp_path / "broker", tmp_path / "state", free_port()
    state.mkdir()
    settings = tomllib.loads(write(folder, state, port, held()).settings)["broker"]
    text = (folder / "mosquitto.conf").read_text()
    kept = tmp_path / "kept"
    kept.mkdir()
    text = text.replace("/var/lib/mosquitto/", f"{kept}/")
    running = Mosquitto(kept, [text], port).start()
    yield Written(running, folder, state, settings)
    running.end()


@pytest.fixture
def takean(broker: Written, make_broker_box: Callable[..., BrokerBox]) -> BrokerBox:
    """The worker's door, connected as takean.toml is told to."""
    password = Path(str(broker.settings["password_file"])).read_text().strip()
    keep = ("port", "username", "ca_file")
    return make_broker_box(host="localhost", password=password, **{key: broker.settings[key] for key in keep})


def answer(port: int, login: Login) -> str:
    """What the broker answers to CONNECT."""
    answers: list[str] = []
    client = Client(CallbackAPIVersion.VERSION2)
    if login.username:
        client.username_pw_set(login.username, login.password)
    client.tls_set_context(ssl.create_default_context(cafile=login.ca_file))
    client.on_connect = lambda client, data, flags, code, props: answers.append(str(code))
    client.connect("localhost", port)
    while not answers:
        client.loop(0.1)
    client.disconnect()
    return answers[0]


def test_mosquitto_understands_every_line(broker: Written) -> None:
    until(lambda: "running" in broker.mosquitto.log)
    log = broker.mosquitto.log.replace("Warning: Mosquitto should not be run as root/administrator.", "")
    log = re.sub("Client connection from 127.0.0.1 failed: .*", "", log)  # of who looked whether it listens
    assert not re.search("(?i)unknown config|error|warning|unable|deprecated|duplicate", log)
    assert log.count("listen socket") == 1


def test_the_limits_are_those_of_the_delivered_file(broker: Written) -> None:
    def limits(text: str) -> set[str]:
        lines = {line for line in text.splitlines() if line and not line.startswith("#")}
        return {line for line in lines if not re.match("listener|.*file |tls_version", line)}

    assert limits((broker.folder / "mosquitto.conf").read_text()) == limits((DEPLOY / "mosquitto.conf").read_text())


def test_a_station_cannot_write_on_another_s_topic_and_can_on_its_own(broker: Written, takean: BrokerBox) -> None:
    port = broker.mosquitto.port
    publish(port, [b"of another"], "takean/v1/WL-02/data", login=broker.login("WL-01"))
    publish(port, [b"of another"], "takean/v1/WL-02/status", login=broker.login("WL-01"))
    publish(port, [b"of another world"], "takean/drill/v1/WL-01/data", login=broker.login("WL-01"))
    publish(port, [b"its own"], "takean/v1/WL-01/data", login=broker.login("WL-01"))
    until(lambda: takean.payloads)
    assert [(m.topic, m.payload) for m in takean.messages] == [("takean/v1/WL-01/data", b"its own")]
    assert takean.statuses == []
    assert takean.alarms == []


def test_a_network_writes_what_is_of_its_kind_and_nothing_else(broker: Written) -> None:
    allowed = {
        "cs": {UPLINK},
        "sp": {"spBv1.0/river/NDATA/n1"},
        "gw": {"takean/v1/WL-02/data"},
        "WL-01": {"takean/v1/WL-01/data"},
    }
    topics = set().union(*allowed.values(), {"spBv1.0/lake/NDATA/n1"})
    secret = (broker.state / "broker.secret").read_text().strip()
    heard: list[tuple[str, bytes | bytearray]] = []
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("takean", secret)
    client.tls_set_context(ssl.create_default_context(cafile=broker.ca))
    client.on_message = lambda client, data, message: heard.append((message.topic, message.payload))
    client.connect("localhost", broker.mosquitto.port)
    granted: list[bool] = []
    client.on_subscribe = lambda *_: granted.append(True)
    client.subscribe([("#", 1)])
    client.loop_start()
    until(lambda: granted)
    for name in allowed:
        for topic in sorted(topics):
            said = f"-h localhost -p {broker.mosquitto.port} -u {name} -t {topic} -m {name} -q 1".split()
            login = ["-P", f"secret of {name}", "--cafile", broker.ca]
            subprocess.run(["mosquitto_pub", *said, *login], check=True, timeout=PATIENCE_S)
    wanted = {(topic, name.encode()) for name, own in allowed.items() for topic in own}
    until(lambda: set(heard) >= wanted)
    client.disconnect()
    client.loop_stop()
    assert sorted(heard) == sorted(wanted)


def test_nobody_comes_in_without_the_right_secret(broker: Written) -> None:
    port = broker.mosquitto.port
    assert answer(port, broker.login("WL-01")) == "Success"
    for login in (Login(ca_file=broker.ca), broker.login("WL-01", "guessed"), broker.login("WL-02", "secret of WL-01")):
        assert answer(port, login) == "Not authorized"


def test_a_client_without_tls_is_refused(broker: Written) -> None:
    until(lambda: "running" in broker.mosquitto.log)
    plain = subprocess.run(
        [*("mosquitto_pub", "-p", str(broker.mosquitto.port), "-u", "WL-01", "-P", "secret of WL-01"),
         *("-t", "takean/v1/WL-01/data", "-m", "in the clear", "-q", "1")],
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )  # fmt: skip
    assert plain.returncode != 0
    with closing(socket.create_connection(("127.0.0.1", broker.mosquitto.port), timeout=PATIENCE_S)) as connection:
        connection.sendall(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c")
        try:
            answer_in_the_clear = connection.recv(100)[:1]
        except ConnectionResetError:
            answer_in_the_clear = b""
        assert answer_in_the_clear != b"\x20", "no CONNACK"


def test_a_broker_that_another_authority_speaks_for_is_not_believed(broker: Written, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write(tmp_path / "others", other, 8883, held())
    believed = ssl.create_default_context(cafile=str(tmp_path / "others" / "ca.crt"))
    with (
        socket.create_connection(("127.0.0.1", broker.mosquitto.port), timeout=PATIENCE_S) as connection,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        believed.wrap_socket(connection, server_hostname="localhost")


def test_the_certificate_holds_on_a_box_that_wakes_up_in_1970(broker: Written) -> None:
    for at in ("1", "1795330200"):  # seconds since 1970
        done = subprocess.run(
            ["openssl", "verify", "-attime", at, "-x509_strict", "-CAfile", broker.ca, broker.folder / "server.crt"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_keys_and_hashes_are_for_their_owner_only(broker: Written) -> None:
    private = [broker.folder / name for name in ("takean.passwd", "takean.acl", "server.key")]
    private += [broker.state / name for name in ("broker.secret", "broker-ca.key")]
    assert {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in private} == {
        path.name: "0o600" for path in private
    }
    assert b"secret of" not in (broker.folder / "takean.passwd").read_bytes()
    assert not (broker.folder / "broker-ca.key").exists(), "whoever has it can be any broker"


def test_a_second_time_devices_believe_the_new_certificate_by_the_old_authority(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    write(tmp_path / "a", state, 8883, held())
    write(tmp_path / "b", state, 8883, held())
    write(tmp_path / "c", state, 8883, held(), renew=True)
    read = {name: {p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in "abc"}
    assert read["a"]["ca.crt"] == read["b"]["ca.crt"]
    assert read["a"]["server.key"] != read["b"]["server.key"]
    ours = {name: read[name]["takean.passwd"].splitlines()[0].split(b"$")[3:] for name in "abc"}
    secret = (state / "broker.secret").read_text().strip()
    subprocess.run(["openssl", "verify", "-CAfile", tmp_path / "a/ca.crt", tmp_path / "b/server.crt"], check=True)
    assert credentials.broker_hash(secret, _salt(ours["c"])).split("$")[4].encode() == ours["c"][1]
    assert credentials.broker_hash(secret, _salt(ours["b"])).split("$")[4].encode() != ours["b"][1]


def _salt(parts: list[bytes]) -> bytes:
    return base64.b64decode(parts[0])


@pytest.mark.parametrize(
    ("secrets", "listener", "expected"),
    [
        (credentials.with_station(credentials.create(), "takean", "s"), Listener(), "rename it"),
        (Credentials(b"k" * 32, {"WL-01": b"d" * 32}), Listener(), "WL-01 has a secret of before brokers"),
        (credentials.create(), Listener(names=("a,DNS:b",)), "is no host name"),
        (credentials.create(), Listener(names=("a\nb",)), "is no host name"),
    ],
)
def test_what_stands_in_the_way_is_said(
    tmp_path: Path, secrets: Credentials, listener: Listener, expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected):
        broker_config.write(
            tmp_path / "out", state=tmp_path, topics=TOPICS, held=secrets, listener=listener, now_us=T0_US
        )
    assert not (tmp_path / "out" / "takean.passwd").exists()


def test_commands_go_to_a_station_and_answers_come_from_it_only() -> None:
    lines = broker_config.access_list(held(), Topics("takean/v1")).splitlines()
    blocks = {block[0]: set(block[1:]) for block in (text.splitlines() for text in "\n".join(lines).split("user ")[1:])}
    assert {"topic write takean/v1/+/cmd", "topic write spBv1.0/+/NCMD/+", "topic read takean/v1/#"} <= blocks["takean"]
    assert {"topic read takean/v1/WL-01/cmd", "topic write takean/v1/WL-01/ack"} <= blocks["WL-01"]
    assert "topic read spBv1.0/river/NCMD/#" in blocks["sp"]
    assert "topic read takean/v1/WL-02/cmd" in blocks["gw"]
    assert not any("cmd" in line for line in blocks["cs"])
