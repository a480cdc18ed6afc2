"""Frozen results that are kept as JSON."""

from __future__ import annotations

import json
from typing import Any, Self, cast

from pydantic import TypeAdapter


class Record:
    """A frozen dataclass that can be written as JSON and read back as an equal value.

    Reading checks every field and raises ``pydantic.ValidationError`` (a ``ValueError``) naming what is wrong.
    Numbers that JSON cannot hold (NaN, infinities) become ``null``, so a field that may be one is ``float | None``.
    """

    def to_dict(self) -> dict[str, Any]:
        """Only what JSON has: dicts, lists, strings, numbers, booleans, None."""
        return cast(dict[str, Any], json.loads(_adapter(type(self)).dump_json(self)))

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        return cast(Self, _adapter(cls).validate_python(content))


_ADAPTERS: dict[type[Record], TypeAdapter[Any]] = {}


def _adapter(record: type[Record]) -> TypeAdapter[Any]:
    if record not in _ADAPTERS:
        _ADAPTERS[record] = TypeAdapter(record)
    return _ADAPTERS[record]
