"""Predictions that take microseconds, answered where they arrive: without a task, a queue or a chain of applications.

What those cost a request is more than such a prediction. Whatever is not plain goes their way as if it had never been
here: it is answered by the same service, behind the same gate, in the same words.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from include.serving.access.gate import Gate
from include.serving.endpoint import INLINE_BYTES, INLINE_ROWS, OK, Headers, Limits, headers_of, is_json, problem_of
from include.serving.heads import Heads
from include.serving.metrics import Metrics
from include.serving.service import Service


class Direct:
    """Answers requests whose bodies are there. It is used from one thread, that of the event loop."""

    def __init__(self, services: Mapping[str, Service], gate: Gate, metrics: Metrics, limits: Limits) -> None:
        paths = {f"/v1/{name}/predict": service for name, service in services.items()}
        self._services = {path.encode(): (path, service) for path, service in paths.items()}
        self.heads = Heads()
        self._gate = gate
        self._metrics = metrics
        self._limits = limits
        self._most = min(limits.body, INLINE_BYTES)

    def knows(self, url: bytes) -> bool:
        """Whether a request to this may be answered here."""
        return url in self._services

    def answer(self, url: bytes, headers: Headers, body: bytes) -> tuple[int, Headers, bytes] | None:
        """Status, headers and content; None for a request that must go the long way, and has used up nothing."""
        start = time.perf_counter()
        path, service = self._services[url]
        if len(body) > self._most or not service.compiled or not is_json(headers):
            return None
        if self._limits.remote and (b'"entities"' in body or b"\\" in body):
            return None  # it may ask for what stands in a store that may hang
        try:
            grant = self._gate.grant("POST", path, headers)
            asked = service.read(body, start)
            count = len(asked)
            if asked.request.explain or count > INLINE_ROWS:
                return None
            client = self._gate.admitted(grant)
        except Exception:  # noqa: BLE001 - it is told, and logged, where the long way meets it again
            return None
        try:
            rows = service.look_up(asked)
            content = service.respond(asked, rows, client)
        except Exception as error:  # noqa: BLE001 - it is told to the client, and logged where it is no problem
            refused = problem_of(error, service.name)
            answer = refused.status, headers_of(refused), refused.document(path)
        else:
            self._metrics.predicted(service.name, count, rows.source)
            answer = 200, OK, content
        self._metrics.request(service.name, answer[0], time.perf_counter() - start)
        return answer
