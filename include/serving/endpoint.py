"""The prediction endpoint, ``POST /v1/{use_case}/predict``, in front of the rest of the application.

It is plain ASGI: what a framework adds to a request costs several times what the prediction does. What takes
microseconds is done on the event loop; what may block it is done in threads: scikit-learn's own estimators,
explanations, many rows, large bodies, and an online store behind a network.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from include.serving.access.admission import Admission
from include.serving.access.body import read_body
from include.serving.access.refusal import Refusal
from include.serving.metrics import Metrics
from include.serving.prediction import Rows
from include.serving.problems import MEDIA_TYPE, Problem
from include.serving.service import PATIENCE, Asked, Service

log = logging.getLogger(__name__)

Headers = Sequence[tuple[bytes, bytes]]

INLINE_ROWS = 100  # more would hold up other requests for milliseconds
INLINE_BYTES = 2**18  # more may take a second, where it must be said what is wrong with them
JSON = b"application/json"
OK: Headers = ((b"content-type", JSON),)  # of a prediction
UNKNOWN = "unknown"  # the name in metrics of every use case that is none: labels must stay few


@dataclass(frozen=True)
class Limits:
    """Of a request: bytes of its body, seconds until it must be answered; ``remote``: the online store may hang."""

    body: int
    seconds: float
    remote: bool


class PredictEndpoint:
    """ASGI middleware that answers predictions and hands every other request on."""

    def __init__(
        self, app: ASGIApp, services: Mapping[str, Service], admission: Admission, metrics: Metrics, limits: Limits
    ) -> None:
        self._app = app
        self._services = {f"/v1/{name}/predict": service for name, service in services.items()}
        self._known = ", ".join(services) or "no use cases"
        self._admission = admission
        self._metrics = metrics
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start, path = time.perf_counter(), scope.get("path", "")
        service = self._services.get(path)
        if scope["type"] != "http" or scope["method"] != "POST" or (service is None and not _is_prediction(path)):
            await self._app(scope, receive, send)
            return
        name = UNKNOWN if service is None else service.name
        headers: Headers = OK
        try:
            content, status = await self._answer(service, scope, receive, start), 200
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - it is answered, and logged where it is no problem
            refused = problem_of(error, name)
            content, status, headers = refused.document(path), refused.status, headers_of(refused)
        self._metrics.request(name, status, time.perf_counter() - start)
        length = (b"content-length", b"%d" % len(content))
        await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
        await send({"type": "http.response.body", "body": content})

    async def _answer(self, service: Service | None, scope: Scope, receive: Receive, start: float) -> bytes:
        if service is None:
            name = scope["path"].split("/")[2]
            raise Problem(404, "No such use case", f"{name!r} is none of {self._known}")
        if not is_json(scope["headers"]):
            raise Problem(415, "Unsupported media type", f"the body must be JSON, with Content-Type: {JSON.decode()}")
        body = await read_body(scope["headers"], receive, self._limits.body, self._limits.seconds)
        if len(body) <= INLINE_BYTES:
            asked = service.read(body, start)
        else:
            asked = await self._admission.in_thread(partial(service.read, body, start), self._limits.seconds)
        count, client = len(asked), scope.get("state", {}).get("client")
        inline = count <= INLINE_ROWS
        if asked.request.rows is not None or (inline and not self._limits.remote):
            rows = service.look_up(asked)
        else:
            rows = await self._looked_up(service, asked)
        if inline and not asked.request.explain and asked.prepared.deployment.served.compiled is not None:
            content = service.respond(asked, rows, client)
        else:
            respond = partial(service.respond, asked, rows, client)
            content = await self._admission.in_thread(respond, self._limits.seconds)
        self._metrics.predicted(service.name, count, rows.source)
        return content

    async def _looked_up(self, service: Service, asked: Asked) -> Rows:
        """The rows of entities from a store that may hang, or of many."""
        work = partial(service.look_up, asked)
        if not self._limits.remote:
            return await self._admission.in_thread(work, self._limits.seconds)
        try:
            return await self._admission.in_thread(work, PATIENCE)
        except Refusal as refusal:
            if refusal.status != 504:
                raise
            return service.given_up(asked)


def _is_prediction(path: str) -> bool:
    return path.startswith("/v1/") and path.endswith("/predict") and path.count("/") == 3


def problem_of(error: Exception, name: str) -> Problem:
    """What is answered where predicting for the use case ``name`` has raised this."""
    if isinstance(error, Problem):
        return error
    log.error("%s: a prediction failed", name, exc_info=error)
    return Problem(500, "Internal error", f"{type(error).__name__}; the server's log tells more")


def headers_of(problem: Problem) -> Headers:
    named = {"content-type": MEDIA_TYPE, **problem.headers}
    return [(key.lower().encode(), value.encode()) for key, value in named.items()]


def is_json(headers: Headers) -> bool:
    """Whether the body is said to be JSON: another site's page can make a browser send anything else unasked."""
    for name, value in headers:
        if name == b"content-type":
            return _says_json(value)
    return False


@lru_cache(100)  # clients mostly send one of a few
def _says_json(value: bytes) -> bool:
    kind = value.partition(b";")[0].strip().lower()
    return kind == JSON or (kind.startswith(b"application/") and kind.endswith(b"+json"))
