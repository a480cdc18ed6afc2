"""A hash chain over JSON lines: each entry carries the hash of the one before it, so that a change to any is noticed.

The construction is the linked time-stamping of Haber and Stornetta, "How to time-stamp a digital document" (1991).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from include.records import Record


@dataclass(frozen=True)
class Head(Record):
    """The last entry of a chain: its number, from 1 on, and its hash. Kept elsewhere, it is an anchor."""

    sequence: int
    hash: str

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of ``str``; ``ValueError`` names the expected form."""
        sequence, _, digest = text.strip().partition(":")
        if not (sequence.isascii() and sequence.isdigit() and len(digest) == 64 and set(digest) <= HEXADECIMAL):
            raise ValueError(f"{text!r} is not the head of a log; expected its number and its hash, e.g. 12:{'0' * 64}")
        return cls(int(sequence), digest)


HEXADECIMAL = frozenset("0123456789abcdef")
START = Head(0, "0" * 64)  # before the first entry


def canonical(content: Mapping[str, Any]) -> bytes:
    """The one way to write a content: keys in order, no spaces, UTF-8. ``ValueError`` for what JSON cannot hold."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def seal(content: Mapping[str, Any], before: Head) -> dict[str, Any]:
    """The entry of a content: with ``sequence``, ``parent`` and ``hash``, the SHA-256 of all the rest."""
    entry = {**content, "sequence": before.sequence + 1, "parent": before.hash}
    entry["hash"] = _digest(entry)
    return entry


def follow(line: bytes, before: Head | None) -> tuple[Head | None, str]:
    """Where a chain stands after a line, and what does not fit in words, empty where all does.

    Where ``before`` is None, only the line itself is judged. Where the line cannot be trusted, the head is None.
    """
    try:
        content = json.loads(line)
        here, parent = Head(content["sequence"], content["hash"]), content["parent"]
        whole = canonical(content) == line and _digest(content) == here.hash and type(here.sequence) is int
    except (ValueError, KeyError, TypeError, RecursionError):
        return None, "is no entry"
    if not whole:
        return None, "was edited: its content does not give its hash"
    if before is None:
        return here, ""
    if here.sequence != before.sequence + 1:
        misplaced = f"entry {here.sequence} stands where entry {before.sequence + 1} belongs"
        return here, f"{misplaced}: a line was removed, put in or moved"
    if parent != before.hash:
        return here, "does not follow from the entry before it: that one was rewritten"
    return here, ""


def _digest(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical({key: value for key, value in entry.items() if key != "hash"})).hexdigest()
