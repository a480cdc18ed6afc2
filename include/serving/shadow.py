"""Predicts with a challenger what the champion has answered, after the answer, and logs it; nobody waits for it."""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from include.serving.followed import Deployment
from include.serving.log_lines import Columns
from include.serving.prediction_log import Source

log = logging.getLogger(__name__)

SHADOW: Source = "shadow"
Fields = Mapping[str, Any] | msgspec.Struct
Append = Callable[[str, datetime, Mapping[str, Any], Columns], None]


class FeaturesMissingError(LookupError):
    """A complete row of a request lacks what the challenger reads: it would have been refused."""


@dataclass(frozen=True)
class _Request:
    deployment: Deployment
    line: Fields
    rows: Sequence[Fields]


class ShadowQueue:
    """A bounded queue with one thread. ``dropped`` counts requests that were not predicted, or not logged."""

    def __init__(self, append: Append, size: int = 1000) -> None:
        """``append(use_case, time, line, columns)`` writes to the prediction log; at most ``size`` requests wait."""
        self._append = append
        self._requests: queue.Queue[_Request | None] = queue.Queue(size)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.dropped = 0

    def submit(self, deployment: Deployment, line: Fields, rows: Sequence[Fields]) -> bool:
        """Have ``deployment`` predict a request that was answered; False where the queue is full or closed.

        ``line`` is what was logged of the answer, ``rows`` are the values by feature that were looked up or sent.
        Neither may be changed afterwards. Never waits.
        """
        with self._lock:
            if not self._closed:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
                    self._thread.start()
                try:
                    self._requests.put_nowait(_Request(deployment, line, rows))
                except queue.Full:
                    pass
                else:
                    return True
            self.dropped += 1
        return False

    def close(self, timeout: float = 5.0) -> None:
        """Predict what waits, for at most ``timeout`` seconds, and take no more."""
        with self._lock:
            self._closed = True
        if self._thread is None:
            return
        deadline = time.monotonic() + timeout
        try:
            self._requests.put(None, timeout=timeout)
        except queue.Full:
            log.warning("%d requests were left unpredicted by a shadow", self._requests.qsize())
            return
        self._thread.join(timeout=max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while (request := self._requests.get()) is not None:
            use_case = request.deployment.version.use_case
            try:
                line = predicted(request.deployment, request.line, request.rows)
                self._append(use_case, datetime.now(UTC), line, request.deployment.columns)
            except Exception:
                log.exception("%s: what a shadow predicted could not be logged", use_case)
                with self._lock:
                    self.dropped += 1


def predicted(deployment: Deployment, line: Fields, rows: Sequence[Fields]) -> dict[str, Any]:
    """The line of the log with a shadow's prediction in place of the answer's, and the ``seconds`` that it took.

    Where it fails, ``prediction`` is None and ``error`` says why.
    """
    names = deployment.names
    seen = [_fields(row) for row in rows]
    started = time.perf_counter()
    error: str | None = None
    values: Sequence[float | None]
    try:
        values = _predict(deployment, names, seen)
    except Exception as failure:  # noqa: BLE001 - whatever it is, it is what the rollout has to show
        values, error = [None] * len(rows), f"{type(failure).__name__}: {failure}"
    read = [[row.get(name) for name in names] for row in seen]
    several = len(rows) != 1
    own = {
        "source": SHADOW,
        "model_version": deployment.version.version,
        "run_id": deployment.version.run_id,
        "seconds": time.perf_counter() - started,
        "error": error,
        "columns": deployment.columns.name,
        "features": read if several else read[0],
        "prediction": values if several else values[0],
    }
    return {**(line if isinstance(line, Mapping) else msgspec.structs.asdict(line)), **own}


def _fields(of: Fields) -> Mapping[str, Any]:
    """By name; the fields of a struct under the names that it has in JSON."""
    if isinstance(of, Mapping):
        return of
    fields: Mapping[str, Any] = msgspec.to_builtins(of)
    return fields


def _predict(deployment: Deployment, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[float]:
    if missing := sorted({name for row in rows for name in names if name not in row}):
        raise FeaturesMissingError(f"the request has no {', '.join(missing)}")
    values = deployment.served.predict([[row[name] for name in names] for row in rows])
    if len(values) != len(rows) or not all(map(math.isfinite, values)):
        raise ArithmeticError(f"predicts {len(values)} values for {len(rows)} rows, or one that is not finite")
    return values
