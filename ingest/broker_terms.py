"""What we ask of a broker, and what its refusals mean."""

import logging
from collections.abc import Sequence

from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ingest.broker_options import BrokerOptions
from ingest.topics import Topics

log = logging.getLogger(__name__)

DROPS_TOPIC = "$SYS/broker/publish/messages/dropped"
"""Mosquitto's count of messages it did not deliver, since its start; other brokers do not send it."""
_LET_IN = (
    "Set user name and password as the broker has them (mosquitto_passwd), and let this user read the topics (acl_file)"
)
_GRANT_QOS_1 = (
    "Let it grant QoS 1 (mosquitto.conf: no max_qos 0): by QoS 0 it keeps nothing for us and hears no acknowledgement"
)
_LOGIN_REFUSED = frozenset({0x04, 0x05, 0x86, 0x87})
"""CONNACK: bad user name or password, not authorised; in MQTT 3.1.1 and 5. paho gives those of 5 for both."""


class Unreachable(Exception):
    """There is no connection, and why.

    `remedy`: what to do where the broker is there but does not give us what we need; empty otherwise.
    """

    def __init__(self, reason: str, *, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


def subscriptions(topics: Topics, options: BrokerOptions) -> list[tuple[str, int]] | list[tuple[str, SubscribeOptions]]:
    """Topics, each with QoS 1 at most, so that QoS 2 never comes. The count of drops is a courtesy: a broker may keep
    it from us.
    """
    data, status, ack = _data(topics, options), topics.status("+"), topics.ack("+")
    if options.protocol != "5":
        return [*((topic, 1) for topic in data), (status, 1), (ack, 1), (DROPS_TOPIC, 0)]
    new = SubscribeOptions(qos=1, noLocal=True, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
    kept = {status: SubscribeOptions(qos=1), ack: new, DROPS_TOPIC: SubscribeOptions(qos=0)}
    return [*((topic, new) for topic in data), *kept.items()]


def refusal(code: ReasonCode) -> Unreachable:
    """What a CONNACK says that does not let us in."""
    return Unreachable(f"the broker refuses: {code}", remedy=_LET_IN if code.value in _LOGIN_REFUSED else "")


def objection(topics: Topics, options: BrokerOptions, codes: Sequence[ReasonCode]) -> Unreachable | None:
    """What a SUBACK keeps from us that we cannot do without; None for nothing."""
    *needed, ack, drops = codes
    for topic, code in zip([*_data(topics, options), topics.status("+")], needed, strict=True):
        if code.is_failure or code.value < 1:
            remedy = _LET_IN if code.is_failure else _GRANT_QOS_1
            return Unreachable(f"the broker answers our subscription to {topic} with: {code}", remedy=remedy)
    if ack.is_failure:
        log.warning("broker: it does not let us read answers to commands; look at its acl_file")
    if drops.is_failure:
        log.warning("broker: it does not let us see %s; what it drops will not be noticed", DROPS_TOPIC)
    return None


def _data(topics: Topics, options: BrokerOptions) -> list[str]:
    return [topics.data("+"), *options.topics]
