"""What of a prediction is kept out of the online log: features that are hashed or left out, and requests."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Self

import msgspec

from include.contract.loading import UseCaseError
from include.contract.use_case import UseCase
from include.features import catalogue
from include.serving.log_lines import Columns, Line, by_row
from include.settings import Settings

KEY = "EVERGREEN_PREDICTION_LOG_KEY"
SHORTEST_KEY = 16  # characters

Fields = Mapping[str, Any] | msgspec.Struct
_encode = msgspec.json.Encoder().encode


class Privacy:
    """Turns the lines of an answer into those that are logged. Threads may share it."""

    def __init__(
        self, sample: float = 1.0, hashed: Sequence[str] = (), left_out: Sequence[str] = (), key: str = ""
    ) -> None:
        self._sample = sample
        self._hashed = frozenset(hashed)
        self._hidden = self._hashed | frozenset(left_out)
        self._key = key.encode()

    @classmethod
    def of(cls, use_case: UseCase, settings: Settings) -> Self | None:
        """What ``serving.log`` asks for, None where that is nothing; ``UseCaseError`` names what it lacks.

        A name that is no feature of the definitions in force is refused: a misspelt one would hide nothing.
        """
        wanted = use_case.serving.log
        if wanted.hash and len(settings.prediction_log_key) < SHORTEST_KEY:
            raise UseCaseError(
                f"{use_case.name}/use_case.yaml: serving.log.hash: needs a secret of at least {SHORTEST_KEY} "
                f"characters in the environment variable {KEY}, e.g. from: openssl rand -hex 32"
            )
        defined = catalogue.read(use_case.name)
        for key in ("hash", "leave_out"):
            known = sorted({field.name for view in defined.views for field in view.fields}) if defined else None
            if known is not None and (unknown := [name for name in getattr(wanted, key) if name not in known]):
                raise UseCaseError(
                    f"{use_case.name}/use_case.yaml: serving.log.{key}: {', '.join(unknown)} is no feature of the "
                    f"definitions in force; expected some of {', '.join(known)}"
                )
        if wanted.sample == 1.0 and not wanted.hash and not wanted.leave_out:
            return None
        return cls(wanted.sample, wanted.hash, wanted.leave_out, settings.prediction_log_key)

    def apply(self, line: Fields, columns: Columns | None) -> tuple[Sequence[Fields], Columns | None]:
        """What is logged of an answer, and the columns that it names.

        That is its line, or one for each of its rows, with a hidden column's hash in ``hashed`` or without it; nothing
        of a request that is not in the sample.
        """
        if self._sample < 1.0 and not self.sampled(_request(line)):
            return (), None
        if not self._hidden:
            return (line,), columns
        rows = by_row(msgspec.json.decode(_encode(line)), columns.known if columns else {})
        return [self._veiled(row) for row in rows], None

    def sampled(self, request_id: str) -> bool:
        """Whether a request is logged: all its rows, and a shadow's for it, or none."""
        drawn = hashlib.blake2b(request_id.encode(), digest_size=8, person=b"prediction log").digest()
        return int.from_bytes(drawn) < self._sample * 2**64

    def digest(self, name: str, value: Any) -> str | None:
        """HMAC-SHA256 (RFC 2104) of a column's value under the secret, as hexadecimal; a missing value stays so."""
        if value is None:
            return None
        return hmac.digest(self._key, name.encode() + b"=" + _encode(value), "sha256").hex()

    def _veiled(self, row: Line) -> Line:
        seen = {**(row["entity"] or {}), **row["features"]}
        hashed = {name: self.digest(name, value) for name, value in seen.items() if name in self._hashed}
        shown = {name: row[name] and self._open(row[name]) for name in ("entity", "features")}
        return {**row, **shown, **({"hashed": hashed} if hashed else {})}

    def _open(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in columns.items() if name not in self._hidden}


def _request(line: Fields) -> str:
    request: str = line["request_id"] if isinstance(line, Mapping) else line.request_id  # type: ignore[attr-defined]
    return request
