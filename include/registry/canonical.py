"""Skops files whose bytes depend on nothing but the model: the same model written twice has the same digest.

A skops file names its objects by their addresses in memory and carries the time of writing. Here objects are
numbered in the order in which the file mentions them, and entries have a fixed order and date. (Some estimators
keep the number of threads they were fitted with, so that one belongs to what must be equal.)
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

SCHEMA = "schema.json"
EPOCH = (1980, 1, 1, 0, 0, 0)


def dumps(model: Any) -> bytes:
    """A skops file of a model."""
    import skops.io

    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(model))) as written:
        schema = json.loads(written.read(SCHEMA))
        numbering = _Numbering()
        numbered = numbering.node(schema)
        entries = {new: written.read(old) for old, new in numbering.files.items()}
    # protocol and versions stay, since reading depends on them
    text = json.dumps(numbered, sort_keys=True, separators=(",", ":"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted({**entries, SCHEMA: text.encode()}.items()):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)
    return buffer.getvalue()


class _Numbering:
    """Renames objects and the files that hold their contents."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self._numbers: dict[Any, int] = {}

    def node(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.node(each) for each in value]
        if not isinstance(value, dict):
            return value
        named = {key: self.node(each) for key, each in value.items() if key not in ("__id__", "file")}
        if "__id__" in value:
            # text and numbers are one object or several by the interpreter's choice, so they are named by their content
            plain = value.get("is_json") or value.get("__loader__") == "TypeNode"
            identity = json.dumps(named, sort_keys=True) if plain else value["__id__"]
            named["__id__"] = self._numbers.setdefault(identity, len(self._numbers))
        if "file" in value:
            extension = str(value["file"]).rpartition(".")[2]
            named["file"] = self.files.setdefault(str(value["file"]), f"{len(self.files):06d}.{extension}")
        return named
