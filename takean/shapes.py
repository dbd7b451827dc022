"""Configuration files against their types: every mistake of a file, not only the first one."""

import tomllib
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from takean import kept

_WORDS = {
    "str": "text in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "date": "a date, YYYY-MM-DD",
}
S = TypeVar("S", bound=msgspec.Struct)


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must be mended before the configuration can go live."""

    file: str
    place: str
    """`station WL-01, cadence_s`; empty for the file as a whole."""
    found: str
    """What is wrong."""
    expected: str
    do: str

    @property
    def text(self) -> str:
        """For people: one line."""
        where = f"{self.file}: {self.place}" if self.place else self.file
        wanted = f"; expected {self.expected}" if self.expected not in self.found else ""
        return f"{where}: {self.found}{wanted}. {self.do}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Read(Generic[S]):
    """What is left of a file: lists hold their entries without mistakes, everything else is whole or None."""

    value: S | None
    mistakes: Sequence[Mistake]
    broken: frozenset[str]
    """Names of entries that were left out, as far as they have one."""


def read(path: Path, kind: type[S], *, sample: Path, kept_at: Path | None = None) -> Read[S]:
    """Read a TOML file as a struct whose fields are tables or lists of tables.

    Parameters
    ----------
    sample : the file to look at for how it is meant
    kept_at : where to keep what it says for the next time, see `takean.kept`
    """
    file = str(path)

    def whole(found: str, expected: str, do: str) -> Read[S]:
        mistake = Mistake(file=file, place="", found=found, expected=expected, do=do)
        return Read(value=None, mistakes=[mistake], broken=frozenset())

    try:
        text = path.read_text(encoding="utf-8")
        if kept_at is not None and (value := kept.find(kept_at, text, kind)) is not None:
            return Read(value=value, mistakes=[], broken=frozenset())
        data = tomllib.loads(text)
    except FileNotFoundError:
        return whole("no such file", "a TOML file", f"Copy {sample} to begin with")
    except OSError as error:
        return whole(f"cannot be read ({error.strerror})", "a readable file", "Give this user the right to read it")
    except UnicodeDecodeError as error:
        return whole(f"byte {error.start} is not UTF-8", "UTF-8", "Save the file as UTF-8")
    except tomllib.TOMLDecodeError as error:
        return whole(f"is not TOML: {error}", "TOML", "Mend the line; what comes after it has not been looked at")
    if _is_strict(kind):
        try:  # what fits as a whole needs no look at its parts, which costs seconds for ten thousand stations
            value = msgspec.convert(data, kind)
        except msgspec.ValidationError:
            pass
        else:
            if kept_at is not None:
                kept.keep(kept_at, text, data)
            return Read(value=value, mistakes=[], broken=frozenset())
    return _Walk(file, sample).whole(data, kind)


@cache
def _is_strict(kind: Any) -> bool:
    """Whether no struct within a type takes keys that it does not know."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if not kind.__struct_config__.forbid_unknown_fields:
            return False
        return all(_is_strict(field.type) for field in msgspec.structs.fields(kind))
    return all(_is_strict(part) for part in get_args(kind))


class _Walk:
    def __init__(self, file: str, sample: Path) -> None:
        self._file = file
        self._sample = sample
        self._broken: set[str] = set()

    def whole(self, data: dict[str, Any], kind: type[S]) -> Read[S]:
        kept, mistakes = dict(data), list[Mistake]()
        for field in msgspec.structs.fields(kind):
            item = _item_of(field.type)
            given = data.get(field.encode_name)
            if item is not None and isinstance(given, list):
                good = []
                for number, entry in enumerate(given, start=1):
                    place = f"{field.encode_name} {_name(entry) or f'no. {number}'}"
                    own = list(self.of(entry, item, place))
                    mistakes += own
                    if own:
                        self._broken.add(_name(entry))
                    else:
                        good.append(entry)
                kept[field.encode_name] = good
        mistakes += self.of(kept, kind, "")
        try:
            value = msgspec.convert(kept, kind)
        except msgspec.ValidationError:  # said above
            value = None
        return Read(value=value, mistakes=mistakes, broken=frozenset(self._broken))

    def of(self, value: Any, kind: Any, place: str) -> Iterator[Mistake]:
        """Every mistake of one value."""
        struct = _struct_of(kind, value)
        if struct is not None:
            yield from self._table(value, struct, place)
            return
        item = _item_of(kind)
        if item is not None and isinstance(value, list):
            for number, entry in enumerate(value, start=1):
                yield from self.of(entry, item, f"{place} {_name(entry) or f'no. {number}'}")
            return
        tags = _tags_of(kind)
        if tags and isinstance(value, dict):
            tag, names = tags
            found = f"is {value[tag]!r:.80}" if tag in value else "is missing"
            yield self._mistake(_under(place, tag), found, f"one of {', '.join(names)}", "Choose one")
            return
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            yield self._mistake(place, f"is {value!r:.80}", _expected(kind, str(error)), "Correct the value")

    def _table(self, value: Any, struct: type[msgspec.Struct], place: str) -> Iterator[Mistake]:
        if not isinstance(value, dict):
            yield self._mistake(place, f"is {value!r:.80}", "a table of keys and values", "Write it as a table")
            return
        fields = _fields_of(struct)
        tag = struct.__struct_config__.tag_field
        known = [*fields, *([tag] if tag else [])]
        for key in value:
            if key not in known:
                near = get_close_matches(key, known, 1)
                do = f"Did you mean {near[0]}?" if near else "Take it out"
                yield self._mistake(_under(place, key), "is not a key", f"one of {', '.join(known)}", do)
        for key, field in fields.items():
            if key in value:
                yield from self.of(value[key], field.type, _under(place, key))
            elif field.required:
                yield self._mistake(_under(place, key), "is missing", f"the key {key}", "Add it")

    def _mistake(self, place: str, found: str, expected: str, do: str) -> Mistake:
        return Mistake(
            file=self._file, place=place, found=found, expected=expected, do=f"{do}; {self._sample.name} shows how"
        )


def _under(place: str, key: str) -> str:
    return f"{place}, {key}" if place else key


def _name(entry: Any) -> str:
    """What people call an entry of a list."""
    if not isinstance(entry, dict):
        return ""
    if isinstance(entry.get("id"), str):
        return str(entry["id"])
    named = [str(entry[key]) for key in ("hazard", "level", "quantity") if key in entry]
    return " ".join(named)


# What is asked of a type for every entry of a file with ten thousand is answered once.


@cache
def _fields_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Fields by the key that a file has for each."""
    return {f.encode_name: f for f in msgspec.structs.fields(struct)}


@cache
def _item_of(kind: Any) -> Any:
    """Type of the entries of `tuple[X, ...]` where they are tables, else None."""
    if get_origin(kind) is tuple and len(get_args(kind)) == 2 and get_args(kind)[1] is Ellipsis:
        item = get_args(kind)[0]
        if all(_is_struct(part) for part in _parts(item)):
            return item
    return None


def _struct_of(kind: Any, value: Any) -> type[msgspec.Struct] | None:
    """The struct a value must be: of several, the one that its tag names; None where it is no table, or unclear."""
    structs: list[type[msgspec.Struct]] = [part for part in _parts(kind) if _is_struct(part)]
    if not structs or (value is None and type(None) in _parts(kind)):
        return None
    if len(structs) == 1:
        return structs[0]
    if isinstance(value, dict):
        for struct in structs:
            config = struct.__struct_config__
            if value.get(config.tag_field) == config.tag:
                return struct
    return None


@cache
def _tags_of(kind: Any) -> tuple[str, list[str]] | None:
    """Of a choice between structs: the key that tells them apart, and its values."""
    configs = [part.__struct_config__ for part in _parts(kind) if _is_struct(part)]
    if len(configs) < 2:
        return None
    return str(configs[0].tag_field), [str(config.tag) for config in configs]


def _expected(kind: Any, said: str) -> str:
    """In words, from msgspec's own."""
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    if isinstance(kind, type) and issubclass(kind, Enum):
        choices = tuple(member.value for member in kind)
    if choices:
        return f"one of {', '.join(map(str, choices))}"
    expected = said.partition(" - at ")[0].removeprefix("Expected ").partition(", got")[0].replace("`", "")
    return " or ".join(_WORDS.get(part, part) for part in expected.split(" | "))


@cache
def _parts(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _lists(kind: type[msgspec.Struct]) -> set[str]:
    return {f.encode_name for f in msgspec.structs.fields(kind) if _item_of(f.type) is not None}
