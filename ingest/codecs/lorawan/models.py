"""Every device whose raw frames are understood, and how one is recognised."""

import re
from collections.abc import Iterable, Iterator

from ingest.codecs.lorawan import decentlab, milesight
from ingest.codecs.lorawan.frame import Model, positive
from sensors.stations import Device

MODELS: dict[str, Model] = dict(sorted((decentlab.MODELS | milesight.MODELS).items()))
"""By its name, as the maker writes it."""

TELL_MODEL = (
    f"set [station.device] model to one of {', '.join(MODELS)}; or let the network server decode the frame, and name "
    "its fields in [station.device.names]"
)
"""What the person who registers devices can do about one that is not understood."""

VENDORS = frozenset({"decentlab", "milesight-iot"})
"""Their `brand_id` in the device repository of The Things Stack; its `model_id` is the model in small letters."""

_MODEL = re.compile(rf"(?<![A-Z0-9-])(?:{'|'.join(map(re.escape, MODELS))})(?![A-Z0-9-])")


def recognise(texts: Iterable[str]) -> str:
    """Find the one model that is named, as a word of its own; empty where none is, or where two are."""
    found = {model for text in texts for model in _MODEL.findall(text.upper())}
    return found.pop() if len(found) == 1 else ""


def mistakes(device: Device) -> Iterator[tuple[str, str]]:
    """Say what is wrong with how a LoRaWAN device is registered: what was found, and what is expected."""
    if device.via == "things_stack" and "/" not in device.id:
        expected = "application@tenant/device id, as its topic has them: another application may have such a device too"
        yield f"id is {device.id!r}", expected
    if not device.model:
        return
    model = MODELS.get(device.model.strip().upper())
    if model is None:
        if not device.names:
            yield f"no decoder for model {device.model!r}", TELL_MODEL
        return
    for name, what in model.parameters.items():
        if positive(device.parameters, name) is None:
            found = f"is {device.parameters[name]:g}" if name in device.parameters else "is missing"
            yield f"parameters.{name} {found}", f"{what}, above 0, as the label of the instrument says"
    for name in device.parameters.keys() - model.parameters:
        yield f"parameters.{name} means nothing to {device.model}", ", ".join(model.parameters) or "no parameters"
