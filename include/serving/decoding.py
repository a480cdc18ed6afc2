"""From the bytes of a request to typed rows or entities.

msgspec decodes and checks in one pass: each model has a type of its own, whose fields are its features. What that
refuses is read again, slowly, with the schemas of the documentation, which find all errors and name their fields.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, NoReturn

import msgspec
import numpy as np
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import astuple
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from include.registry.model_input import Feature, Kind
from include.serving.lookup import Lookup
from include.serving.problems import Problem, field_name
from include.serving.schemas import ROW_LIMIT, PredictRequest
from include.serving.validation import check_entities, check_rows, is_whole

KINDS: dict[Kind, Any] = {"numeric": float | None, "boolean": bool | None, "categorical": str | None}
JSON_TYPES: dict[type, Any] = {int: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)], object: str | int | float}
COLON = ord(":")
LARGE = 2**13  # bytes, from which on numpy counts faster
NESTED = "it is nested too deeply"
DIGITS = 400  # a whole number of more is beyond every float, and slow to read
_moment = lru_cache(1000)(TypeAdapter(AwareDatetime).validate_python)  # many are asked about one


@dataclass(frozen=True)
class Columns:
    """What an entity of a request has: the key, and what it may bring; only the ``needed`` ones must be there."""

    keys: Mapping[str, type]
    brought: Mapping[str, type]
    needed: frozenset[str]

    @classmethod
    def of(cls, lookup: Lookup) -> Columns:
        return cls(lookup.key_types, lookup.request_types, lookup.needed)

    @classmethod
    def unknown(cls, keys: Iterable[str]) -> Columns:
        """While no store tells of which types they are."""
        return cls(dict.fromkeys(keys, object), {}, frozenset(keys))

    def types(self) -> dict[str, Any]:
        """The fields of an entity as msgspec knows them."""
        kinds = {name: JSON_TYPES.get(kind, kind) for name, kind in {**self.brought, **self.keys}.items()}
        nullable = {name: kind if name in self.keys else kind | None for name, kind in kinds.items()}
        return {name: kind if name in self.needed else kind | UnsetType for name, kind in nullable.items()}


class Request(Struct, frozen=True, gc=False):
    """A request whose values have the right types. Either ``rows`` or ``entities``.

    A row is a struct with one field a feature, in the order of the model's features.
    """

    rows: Sequence[Struct] | None
    entities: Sequence[dict[str, Any]] | None
    as_of: datetime | None
    explain: bool

    def __len__(self) -> int:
        return len(self.rows or self.entities or ())


class Decoder:
    """Decodes requests to one model; threads may share it."""

    def __init__(self, features: Sequence[Feature], columns: Columns) -> None:
        self._features, self._columns = features, columns
        kinds = columns.types()
        self._entity_names = tuple(kinds)
        self._whole_names = {name for name, kind in {**columns.brought, **columns.keys}.items() if kind is int}
        self._optional = not columns.needed.issuperset(kinds)
        row = _struct("Row", {feature.name: KINDS[feature.kind] for feature in features})
        entity = _struct("Entity", kinds)
        some = Meta(min_length=1, max_length=ROW_LIMIT)
        optional = {
            "rows": Annotated[list[row], some] | None,  # type: ignore[valid-type]
            "entities": Annotated[list[entity], some] | None,  # type: ignore[valid-type]
            "as_of": str | None,
            "explain": bool,
        }
        self._decode = msgspec.json.Decoder(
            msgspec.defstruct(
                "Body", [(name, kind | UnsetType, UNSET) for name, kind in optional.items()], forbid_unknown_fields=True
            )
        ).decode
        self._row_colons = sum(1 + feature.name.count(":") for feature in features)

    def decode(self, body: bytes) -> Request:
        """The request, or the ``Problem`` of status 400 or 422 that says what is wrong with it."""
        try:
            found: Any = self._decode(body)
            rows, given, said, explain = top = astuple(found)
            as_of = _moment(said) if isinstance(said, str) else None
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            mended = self._with_whole_numbers(body) if isinstance(error, msgspec.ValidationError) else None
            if mended is None:
                self._refuse(body, error)
            return self.decode(mended)
        if bool(rows) == bool(given) or (rows and as_of):
            self._refuse(body, ValueError("expected exactly one of entities and rows"))
        entities = self._entities(given) if given else None
        if not self._names_are_unique(body, top, entities or ()):
            _parse(body)
        if not rows:
            return Request(None, entities, as_of, explain is True)
        return Request(rows, None, None, explain is True)

    def _entities(self, given: Sequence[Struct]) -> list[dict[str, Any]]:
        names = self._entity_names
        if not self._optional:
            return [dict(zip(names, astuple(each), strict=True)) for each in given]
        return [
            {name: value for name, value in zip(names, astuple(each), strict=True) if value is not UNSET}
            for each in given
        ]

    def _names_are_unique(self, body: bytes, top: tuple[Any, ...], entities: Sequence[Mapping[str, Any]]) -> bool:
        """Whether there are as many colons as names and texts have: a name that is given twice brings one more.

        False may also mean that it has to be looked at closely. Parsers do not agree which of two values counts
        (RFC 8259, section 4), and msgspec reads over it.
        """
        rows, given, said, _ = top
        expected = 4 - top.count(UNSET) + len(rows or ()) * self._row_colons
        for entity in entities:
            expected += len(entity) + "".join(entity).count(":")
        if said:
            expected += said.count(":")
        actual = _colons(body)
        if actual != expected and b"\\" not in body:
            texts = [value for each in (rows or given) for value in astuple(each) if type(value) is str]
            expected += sum(text.count(":") for text in texts)
        return actual == expected

    def _with_whole_numbers(self, body: bytes) -> bytes | None:
        """The body with 1 for 1.0 where an entity has whole numbers, None where there is no such thing.

        To JSON Schema they are the same (Validation 2020-12, section 6.1.1), to msgspec they are not.
        """
        content = _parse(body)
        entities = content.get("entities") if isinstance(content, dict) else None
        changed = False
        for entity in entities if isinstance(entities, list) else ():
            for name in self._whole_names & entity.keys() if isinstance(entity, dict) else ():
                if isinstance(entity[name], float) and is_whole(entity[name]):
                    entity[name], changed = int(entity[name]), True
        return json.dumps(content).encode() if changed else None

    def _refuse(self, body: bytes, error: Exception) -> NoReturn:
        """Say what is wrong, in the words of the schema, and else in those of ``error``."""
        content = _parse(body)
        try:
            request = PredictRequest.model_validate(content)
            if request.rows is not None:
                check_rows(request.rows, self._features)
            if request.entities is not None:
                check_entities(request.entities, self._columns.keys, self._columns.brought, self._columns.needed)
        except ValidationError as invalid:
            errors = [
                (field_name(each["loc"]), str(each["msg"]).removeprefix("Value error, ")) for each in invalid.errors()
            ]
            raise Problem.of_fields("Invalid request", errors) from None
        except RecursionError:
            raise _malformed(NESTED) from None
        field = "as_of" if request.as_of is not None else "body"
        raise Problem.of_fields("Invalid request", [(field, str(error))])


def _colons(body: bytes) -> int:
    """How many there are; many bytes at a time, where there are many."""
    if len(body) < LARGE:
        return body.count(b":")
    return int(np.count_nonzero(np.frombuffer(body, np.uint8) == COLON))


def _struct(name: str, kinds: Mapping[str, Any]) -> type[Struct]:
    """A type with these fields; they are numbered, since a column may have a name that Python does not take."""
    names = {f"f{number}": column for number, column in enumerate(kinds)}
    fields: list[Any] = [
        (field, kinds[column], UNSET) if UnsetType in getattr(kinds[column], "__args__", ()) else (field, kinds[column])
        for field, column in names.items()
    ]
    return msgspec.defstruct(name, fields, rename=names, forbid_unknown_fields=True, kw_only=True, gc=False)


def _parse(body: bytes) -> Any:
    """What the body holds, as Python's own parser reads it: NaN, infinities and large numbers are values to refuse."""
    if not body.strip():
        raise Problem.of_fields("Invalid request", [("body", "Field required")])
    try:
        text = body.decode()
        content = json.loads(text, object_pairs_hook=_unique, parse_int=_whole)
        json.dumps(content, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise _malformed(f"{error.msg} at character {error.pos}") from None
    except UnicodeDecodeError as error:
        raise _malformed(f"it is not UTF-8: {error.reason} at byte {error.start}") from None
    except UnicodeEncodeError as error:
        raise _malformed(f"a text is not Unicode: {error.reason}") from None
    except RecursionError:
        raise _malformed(NESTED) from None
    return content


def _malformed(reason: str) -> Problem:
    return Problem(400, "Malformed JSON", f"the body is not JSON: {reason}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        name = next(name for number, (name, _) in enumerate(pairs) if name in dict(pairs[:number]))
        shown = name.encode(errors="replace").decode()  # half a surrogate pair cannot be answered
        raise Problem.of_fields("Invalid request", [(shown, "given more than once in one object")])
    return found


def _whole(text: str) -> int | float:
    return int(text) if len(text) <= DIGITS else float(text)
