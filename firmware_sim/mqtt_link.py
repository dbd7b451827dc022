"""One device's MQTT session (paho-mqtt): connects, comes back, and knows what has been acknowledged."""

import logging
import socket
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from firmware_sim.backlog import Backlog

log = logging.getLogger(__name__)

IN_FLIGHT_MAX = 20
KEEP_ALIVE_S = 30
CONNECT_TIMEOUT_S = 1.0
BACK_OFF_S = (0.5, 8.0)
"""First and longest wait before connecting again; it doubles in between."""


class Link:
    """Delivers a backlog by QoS 1, oldest first, at most `IN_FLIGHT_MAX` unacknowledged at a time.

    What is in flight when a connection breaks is sent again by paho, in order, when the next CONNACK is read; only then
    new messages follow.

    It has no thread: its owner waits on `socket` and calls `tend`, `serve` and `pump`. paho's callbacks run inside
    these calls, so nothing here needs a lock. It listens to commands where there is somebody to `obey` them: payload of
    a command -> that of the answer, None for none.
    """

    def __init__(
        self,
        *,
        station: str,
        password: str,
        host: str,
        port: int,
        status_topic: str,
        birth: bytes,
        last_will: bytes,
        backlog: Backlog,
        obey: Callable[[bytes], bytes | None] | None = None,
    ) -> None:
        self.published = 0
        """Messages handed to the network for the first time."""
        self.acknowledged = 0
        self.connected = False
        """Whether the endpoint has accepted this connection."""
        self.refused = ""
        """Why the endpoint refused the last connection; empty if it did not."""
        self._station = station
        self._obey = obey
        self._status_topic = status_topic
        self._birth = birth
        self._last_will = last_will
        self._backlog = backlog
        self._birth_mid: int | None = None
        self._serial_of: dict[int, int] = {}
        self._wait_s = BACK_OFF_S[0]
        self._try_at_s = 0.0
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"sim-{station}", protocol=mqtt.MQTTv311)
        self._client.username_pw_set(station, password)
        self._client.will_set(status_topic, last_will, qos=1, retain=True)
        self._client.max_inflight_messages_set(0)  # the bound is ours
        self._client.connect_timeout = CONNECT_TIMEOUT_S
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._client.connect_async(host, port, keepalive=KEEP_ALIVE_S)

    @property
    def socket(self) -> socket.socket | None:
        """What to wait on; None while there is no connection."""
        connection = self._client.socket()
        assert connection is None or isinstance(connection, socket.socket)
        return connection

    @property
    def wants_write(self) -> bool:
        """Whether bytes are left over because the socket took no more."""
        return self._client.want_write()

    def tend(self, *, now_s: float) -> None:
        """Keep alive, or connect again when the wait is over; call at least once a second.

        Blocks for `CONNECT_TIMEOUT_S` at most, where a host neither answers nor refuses.

        Parameters
        ----------
        now_s : a monotonic clock; back-off is a matter of real time
        """
        if self._client.socket() is not None:
            self._client.loop_misc()
        elif now_s >= self._try_at_s:
            self._try_at_s = now_s + self._wait_s
            self._wait_s = min(2 * self._wait_s, BACK_OFF_S[1])
            try:
                self._client.reconnect()
            except OSError as error:
                log.debug("%s: no connection: %s", self._station, error)

    def serve(self, *, readable: bool, writable: bool) -> None:
        """Read and write what the socket is ready for."""
        if readable:
            self._client.loop_read()
        if writable and self._client.socket() is not None:
            self._client.loop_write()

    def pump(self) -> None:
        """Send what may be sent."""
        if not self.connected:
            return
        for serial, message in self._backlog.take(IN_FLIGHT_MAX):
            info = self._client.publish(message.topic, message.payload, qos=1)
            # Any other trouble is the connection's: paho has kept the message and sends it with the next one.
            assert info.rc != MQTTErrorCode.MQTT_ERR_QUEUE_SIZE, f"{self._station}: paho refused to queue"
            self._serial_of[info.mid] = serial
            self.published += 1

    def leave(self) -> None:
        """Say goodbye. An orderly disconnect takes the last will with it, so its words are said before."""
        if self.connected:
            self._client.publish(self._status_topic, self._last_will, qos=1, retain=True)
            self._client.disconnect()

    def close(self) -> None:
        """Cut what is left of the connection."""
        connection = self.socket
        if connection is not None:
            connection.close()

    def _on_connect(self, client: mqtt.Client, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            self.refused = str(reason)
            log.warning("%s: connection refused: %s", self._station, reason)
            return
        self.connected, self.refused = True, ""
        self._wait_s, self._try_at_s = BACK_OFF_S[0], 0.0
        if self._obey is not None:
            client.subscribe(self._topic("cmd"), 1)
        # An unacknowledged birth is sent again by paho; another one would pile up.
        if self._birth_mid is None:
            self._birth_mid = client.publish(self._status_topic, self._birth, qos=1, retain=True).mid

    def _on_message(self, client: mqtt.Client, _: Any, message: mqtt.MQTTMessage) -> None:
        answer = self._obey(bytes(message.payload)) if self._obey is not None else None
        if answer is not None:
            client.publish(self._topic("ack"), answer, qos=1)

    def _topic(self, leaf: str) -> str:
        """Beside that of the status."""
        return f"{self._status_topic.rpartition('/')[0]}/{leaf}"

    def _on_disconnect(self, _: mqtt.Client, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        if self.connected:
            log.info("%s: connection ended: %s", self._station, reason)
        self.connected = False

    def _on_publish(self, _: mqtt.Client, __: Any, mid: int, ___: Any, ____: Any) -> None:
        if mid == self._birth_mid:
            self._birth_mid = None
        serial = self._serial_of.pop(mid, None)
        if serial is not None:
            self._backlog.acknowledge(serial)
            self.acknowledged += 1
