"""The payload of Sparkplug B on the wire: protobuf, described here from the specification (3.0, section 6.4).

Only what a reading needs is described; everything else is skipped by its length. Text is described as bytes and read
here, and whole numbers as 64 bits, so that nothing is cut to size in silence.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

METRICS_MAX = 5_000
"""In one payload: a birth names all that a node has, also what is no reading."""
NAME_BYTES_MAX = 512
REBIRTH = "Node Control/Rebirth"
BOOLEAN = 11
GOOD = 192
"""Of the property Quality; 0 is BAD, 500 STALE."""

_BITS = {1: (8, True), 2: (16, True), 3: (32, True), 4: (64, True), 5: (8, False), 6: (16, False)}
_BITS |= {7: (32, False), 8: (64, False)}
_FLOAT, _DOUBLE = 9, 10
NUMERIC = frozenset({*_BITS, _FLOAT, _DOUBLE})
"""Types of metrics that can be readings: Int8 to UInt64, Float, Double."""


class NotSparkplugError(Exception):
    """The bytes are no payload of Sparkplug B; says why."""


class Metric(msgspec.Struct, frozen=True):
    """One metric of a payload."""

    name: str
    """Empty where the alias stands for it."""
    alias: int | None
    time_ms: int | None
    datatype: int | None
    is_null: bool
    is_transient: bool
    is_good: bool
    """Whether its property Quality says GOOD, or nothing."""
    field: str
    """Which of the value fields is set; empty for none of those that can be numbers."""
    raw: int | float


class Payload(msgspec.Struct, frozen=True):
    """One message of a node."""

    time_ms: int | None
    seq: int | None
    metrics: Sequence[Metric]


def _message() -> Any:
    """Payload as a class, from a description in a pool of our own."""
    kinds = descriptor_pb2.FieldDescriptorProto
    whole, yes, text, part = kinds.TYPE_UINT64, kinds.TYPE_BOOL, kinds.TYPE_BYTES, kinds.TYPE_MESSAGE
    described = {
        "PropertyValue": [(2, "is_null", yes), (3, "int_value", whole), (4, "long_value", whole)],
        "PropertySet": [(1, "keys", text), (2, "values", part)],
        "Metric": [
            *((1, "name", text), (2, "alias", whole), (3, "timestamp", whole), (4, "datatype", whole)),
            *((6, "is_transient", yes), (7, "is_null", yes), (9, "properties", part)),
            *((10, "int_value", whole), (11, "long_value", whole)),
            *((12, "float_value", kinds.TYPE_FLOAT), (13, "double_value", kinds.TYPE_DOUBLE)),
            *((14, "boolean_value", yes), (15, "string_value", text), (16, "bytes_value", text)),
            *((17, "dataset_value", text), (18, "template_value", text)),
        ],
        "Payload": [(1, "timestamp", whole), (2, "metrics", part), (3, "seq", whole)],
    }
    parts = {"values": "PropertyValue", "properties": "PropertySet", "metrics": "Metric"}
    file = descriptor_pb2.FileDescriptorProto(name="takean/sparkplug", package="takean.sparkplug", syntax="proto2")
    for name, fields in described.items():
        message = file.message_type.add(name=name)
        if name == "Metric":
            message.oneof_decl.add(name="value")
        for number, field, kind in fields:
            many = field in ("keys", "values", "metrics")
            added = message.field.add(name=field, number=number, type=kind)
            added.label = kinds.LABEL_REPEATED if many else kinds.LABEL_OPTIONAL
            if kind == part:
                added.type_name = f".takean.sparkplug.{parts[field]}"
            if name == "Metric" and number >= 10:
                added.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("takean.sparkplug.Payload"))


_Payload = _message()


def parse(payload: bytes) -> Payload:
    """Read a payload.

    Raises
    ------
    NotSparkplugError : whatever else the bytes are
    """
    try:
        read = _Payload.FromString(payload)
    except DecodeError as error:
        raise NotSparkplugError(f"no payload of Sparkplug B: {error}") from None
    if len(read.metrics) > METRICS_MAX:
        raise NotSparkplugError(f"{len(read.metrics)} metrics in one payload; at most {METRICS_MAX}")
    if read.HasField("seq") and read.seq > 255:
        raise NotSparkplugError(f"its seq is {read.seq}; 0 to 255 is expected")
    return Payload(
        time_ms=read.timestamp if read.HasField("timestamp") else None,
        seq=read.seq if read.HasField("seq") else None,
        metrics=[_metric(each) for each in read.metrics],
    )


def _metric(read: Any) -> Metric:
    if len(read.name) > NAME_BYTES_MAX:
        raise NotSparkplugError(f"a name of {len(read.name)} bytes; at most {NAME_BYTES_MAX}")
    try:
        name = read.name.decode()
    except UnicodeDecodeError:
        raise NotSparkplugError("a name that is not UTF-8") from None
    field = read.WhichOneof("value") or ""
    return Metric(
        name=name,
        alias=read.alias if read.HasField("alias") else None,
        time_ms=read.timestamp if read.HasField("timestamp") else None,
        datatype=read.datatype if read.HasField("datatype") else None,
        is_null=read.is_null,
        is_transient=read.is_transient,
        is_good=not read.HasField("properties") or _is_good(read.properties),
        field=field,
        raw=getattr(read, field) if field in ("int_value", "long_value", "float_value", "double_value") else 0,
    )


def _is_good(properties: Any) -> bool:
    keys = list(properties.keys)
    at = keys.index(b"Quality") if b"Quality" in keys else len(keys)
    if at >= len(properties.values) or (value := properties.values[at]).is_null:
        return True
    return bool((value.int_value or value.long_value) == GOOD)


def number(metric: Metric, datatype: int) -> int | float | None:
    """The value of a metric of a numeric type; None where it has none, or one that the type cannot have.

    Negative whole numbers come as two's complement in the bits of the type, or of the field, or of a varint: 255,
    2^32 - 1 and 2^64 - 1 are all -1 as Int8. A Float is the shortest decimal that is the same Float, which is what the
    device meant: 2.3, not 2.299999952.
    """
    if datatype in (_FLOAT, _DOUBLE):
        if metric.field == "float_value":
            return float(str(np.float32(metric.raw)))
        return metric.raw if metric.field == "double_value" else None
    if metric.field not in ("int_value", "long_value"):
        return None
    bits, signed = _BITS[datatype]
    raw = int(metric.raw)
    if raw < 1 << bits:
        return raw - (1 << bits) if signed and raw >> (bits - 1) else raw
    for wide in (32, 64):
        if signed and (1 << wide) - (1 << (bits - 1)) <= raw < 1 << wide:
            return raw - (1 << wide)
    return None


def whole(metric: Metric) -> int | None:
    """The value of a counter such as bdSeq, whatever its type; None where it has none."""
    return int(metric.raw) if metric.field in ("int_value", "long_value") and not metric.is_null else None


def rebirth(now_ms: int) -> bytes:
    """The command that asks a node to say again who it is (NCMD, section 6.4.21)."""
    said = _Payload(timestamp=now_ms)
    said.metrics.add(name=REBIRTH.encode(), timestamp=now_ms, datatype=BOOLEAN, boolean_value=True)
    return bytes(said.SerializeToString())
