"""The lines of the online prediction log, each a JSON object.

A line is one answer. Its features are a list, in the order of the names that an earlier line of the same file gives to
its ``columns``: names are most of what a row would take. An answer of several rows has a list, too, in place of each
value that differs by row. A line without ``columns`` is one row that names its features itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import msgspec
import orjson
from msgspec import Struct

# That every row has.
FIELDS = frozenset({"time", "source", "request_id", "model_version", "run_id", "prediction", "entity", "features"})
BY_ROW = ("entity", "event_timestamp", "feature_timestamps", "features", "prediction")
DEFINES = b'{"columns":'  # how a line begins that gives names
Line = dict[str, Any]  # of one row, with its features by name
Known = Mapping[str, Sequence[str]]


class Columns(Struct, frozen=True):
    """The names of features, under the name that lines have for them; ``line`` tells it in the log."""

    name: str
    line: bytes
    known: Known

    @classmethod
    def of(cls, names: Sequence[str]) -> Self:
        digest = hashlib.blake2b(msgspec.json.encode(names), digest_size=8).hexdigest()
        line = msgspec.json.encode({"columns": digest, "names": names}) + b"\n"
        return cls(digest, line, {digest: names})


class Reader:
    """Reads the lines of one file, in their order."""

    def __init__(self) -> None:
        self._known: dict[str, Sequence[str]] = {}

    def rows(self, text: bytes) -> list[Line] | None:
        """The rows of a line, which are none where it gives names; None where it is torn.

        What no line break ends was not acknowledged.
        """
        try:
            content = orjson.loads(text) if text.endswith(b"\n") else None
            if not isinstance(content, dict):
                return None
            if text.startswith(DEFINES):
                self._known[content["columns"]] = content["names"]
                return []
            return by_row(content, self._known) if content.keys() >= FIELDS else None
        except (ValueError, TypeError, LookupError):
            return None


def lines(stream: Iterable[bytes]) -> Iterator[Line | None]:
    """The rows of a file; None for a torn line."""
    reader = Reader()
    for text in stream:
        rows = reader.rows(text)
        yield from (None,) if rows is None else rows


def by_row(answer: Line, known: Known) -> list[Line]:
    """The rows of an answer, each as a line of its own, by the names of columns that are known.

    ``KeyError``: its columns are not known; ``ValueError`` or ``TypeError``: what it has does not fit together.
    """
    common = dict(answer)
    if (columns := common.pop("columns", None)) is None:
        return [common]
    names = known[columns]
    if not isinstance(common["prediction"], list):
        return [{**common, "features": dict(zip(names, common["features"], strict=True))}]
    common["features"] = [dict(zip(names, values, strict=True)) for values in common["features"]]
    listed = [name for name in BY_ROW if isinstance(common.get(name), list)]
    rows = zip(*(common[name] for name in listed), strict=True)
    return [{**common, **dict(zip(listed, row, strict=True))} for row in rows]
