"""A pure Python wheel (PEP 427) whose bytes depend on its files alone."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass

from include.packaging.contents import zipped

TAG = "py3-none-any"


@dataclass(frozen=True)
class Wheel:
    name: str  # of the package that is imported, also the distribution's
    version: str
    content: bytes

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self.version}-{TAG}.whl"


def wheel(name: str, version: str, files: Mapping[str, bytes], metadata: Mapping[str, str | list[str]]) -> Wheel:
    """A wheel of one package with these files, by their path in it, and fields of the core metadata."""
    information = f"{name}-{version}.dist-info"
    packed = {f"{name}/{path}": files[path] for path in sorted(files)}
    packed[f"{information}/METADATA"] = _metadata(
        {"Metadata-Version": "2.1", "Name": name, "Version": version}, metadata
    )
    packed[f"{information}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: evergreen\nRoot-Is-Purelib: true\nTag: {TAG}\n".encode()
    )
    record = f"{information}/RECORD"
    return Wheel(name, version, zipped({**packed, record: _record(packed, record)}))


def _metadata(identity: Mapping[str, str], others: Mapping[str, str | list[str]]) -> bytes:
    lines = [f"{key}: {value}" for key, value in identity.items()]
    for key, values in others.items():
        lines += [f"{key}: {value}" for value in ([values] if isinstance(values, str) else values)]
    if broken := [line for line in lines if "\n" in line or "\r" in line]:
        raise ValueError(f"METADATA: {broken[0]!r}: a field has one line")
    return ("\n".join(lines) + "\n").encode()


def _record(files: Mapping[str, bytes], own: str) -> bytes:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        table.writerow([path, f"sha256={digest}", len(content)])
    table.writerow([own, "", ""])
    return text.getvalue().encode()
