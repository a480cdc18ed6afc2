"""Answers the prediction requests of one use case: what the server and a program that embeds it have in common.

A request goes through three steps, none of which knows of HTTP: ``read`` its bytes, ``look_up`` its features,
``respond``. Whoever calls them decides which of them may block.
"""

from __future__ import annotations

import logging
import math
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from msgspec import Struct, structs

from include.contract.serving import ServingConfig
from include.contract.use_case import UseCase
from include.packaging.runtime.inputs import fits
from include.registry.model_input import Feature
from include.serving import routing
from include.serving.breaker import Breaker
from include.serving.decoding import Columns, Decoder, Request
from include.serving.explanations import EXPLAINED_ROWS, Explanations
from include.serving.followed import Deployment, Followed
from include.serving.follower import Follower
from include.serving.lookup import EntitiesNotFound
from include.serving.prediction import Rows, answer, keep, line_of, predict
from include.serving.prediction_log import PredictionLog
from include.serving.problems import Problem
from include.serving.shadow import ShadowQueue
from include.serving.validation import EXPECTED

log = logging.getLogger(__name__)

PATIENCE = 0.25  # seconds of a look-up, beyond which the store counts as failing
PREPARED = 4  # deployments for which decoders are kept
# The ids of requests are no secrets: from a generator that the system seeds, at half of what asking it each time costs.
_ids = random.Random()  # noqa: S311
os.register_at_fork(after_in_child=_ids.seed)


@dataclass(frozen=True)
class Prepared:
    """A deployment with what requests to it need, made once."""

    deployment: Deployment
    use_case: UseCase

    @cached_property
    def decoder(self) -> Decoder:
        lookup = self.deployment.lookup
        columns = Columns.unknown(self.use_case.entity.key) if lookup is None else Columns.of(lookup)
        return Decoder(self.deployment.predictor.features, columns)

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The row that stands for entities while the store cannot be reached."""
        return default_row(self.use_case.serving, self.deployment.predictor.features)


class Asked(Struct, frozen=True, gc=False):
    """A request, the id that its answer will have, and the model that answers it; it keeps that model to its end.

    ``begun``: when it began, by ``time.perf_counter``.
    ``beside`` predicts it after the answer, unseen. ``instead``: the same to the champion, should a canary fail.
    """

    request_id: str
    prepared: Prepared
    request: Request
    begun: float
    beside: Deployment | None = None
    instead: Asked | None = None

    def __len__(self) -> int:
        return len(self.request)


class Service:
    """Predicts for one use case with what its follower has loaded; threads may share it."""

    def __init__(
        self,
        follower: Follower,
        name: str,
        predictions: PredictionLog,
        explanations: Explanations,
        shadows: ShadowQueue | None = None,
        *,
        settle: Callable[[], None] | None = None,
    ) -> None:
        """``settle`` is called when a deployment, the first or another one, meets its first request."""
        self.name = name
        self.follower = follower
        self._log = predictions
        self._explanations = explanations
        self._shadows = shadows
        self._settle = settle
        self._breaker = Breaker()
        self._prepared: dict[int, Prepared] = {}

    @property
    def compiled(self) -> bool:
        """Whether each model that may answer at this moment is compiled."""
        return self.follower.states[self.name].compiled

    def read(self, body: bytes, begun: float | None = None) -> Asked:
        """The request of a body, or the ``Problem`` that says what is wrong with it, or why there is no model.

        ``begun``: when it began, by ``time.perf_counter``, where that was not now.
        """
        begun = time.perf_counter() if begun is None else begun
        followed = self.follower.states[self.name]
        prepared = self._prepare(deployment_of(followed, self.follower), followed.use_case)
        request = prepared.decoder.decode(body)
        asked = Asked(_ids.randbytes(16).hex(), prepared, request, begun, routing.shadow(followed))
        if asked.request.explain and len(asked) > EXPLAINED_ROWS:
            told = f"at most {EXPLAINED_ROWS} rows of a request are explained, not {len(asked)}"
            raise Problem.of_fields("Invalid request", [("explain", told)])
        return self._routed(followed, asked, body) if followed.mode == "canary" else asked

    def look_up(self, asked: Asked) -> Rows:
        """The rows of a request. For entities the store is read, unless it fails all the time."""
        request, prepared = asked.request, asked.prepared
        moment = request.as_of or datetime.now(UTC)
        if request.rows is not None:
            return Rows.given(request.rows, moment)
        entities, lookup = request.entities or (), prepared.deployment.lookup
        if lookup is None:
            return self._without_store(asked, "cannot be read")
        if remaining := self._breaker.remaining():
            return self._without_store(asked, "failed several times and is left alone", remaining)
        start = time.monotonic()
        try:
            found = lookup.rows(entities, request.as_of)
        except EntitiesNotFound as error:
            self._breaker.succeeded()
            raise _not_found(request, error) from error
        except Exception as error:
            log.exception("%s: the online store cannot be read", self.name)
            self._breaker.failed()
            return self._without_store(asked, f"cannot be read: {type(error).__name__}")
        if time.monotonic() - start > PATIENCE:
            self._breaker.failed()
        else:
            self._breaker.succeeded()
        return Rows.looked_up(prepared.deployment.names, entities, found, moment)

    def given_up(self, asked: Asked) -> Rows:
        """For who does not wait any longer for ``look_up``."""
        self._breaker.failed()
        return self._without_store(asked, f"did not answer in {PATIENCE:g} s")

    def respond(self, asked: Asked, rows: Rows, client: str | None = None) -> bytes:
        """Predict, log, and only then answer."""
        deployment = asked.prepared.deployment
        try:
            values = predict(deployment, [row.values for row in rows.each])
        except Problem as problem:
            if asked.instead is None:
                raise
            log.warning("%s: a canary failed, the champion answers: %s", self.name, problem.detail)
            champion = structs.replace(asked.instead, beside=deployment)  # fails there again, and is counted
            return self.respond(champion, rows.of(champion.prepared.deployment.names), client)
        explained = None
        if asked.request.explain:
            seen = [dict(zip(deployment.names, row.values, strict=True)) for row in rows.each]
            found = self._explanations.explain(deployment.predictor, seen)
            explained = [*zip(seen, found, strict=True)]
        line = line_of(asked.request_id, deployment, rows, values, client, asked.begun)
        keep(line, deployment.columns, self._log)
        if self._shadows is not None and asked.beside is not None:
            self._shadows.submit(asked.beside, line, [row.known for row in rows.each])
        return answer(asked.request_id, deployment, rows, values, explained)

    def _prepare(self, deployment: Deployment, use_case: UseCase) -> Prepared:
        known = self._prepared.get(id(deployment))
        if known is None or known.deployment is not deployment:
            known = Prepared(deployment, use_case)
            if self._settle is not None:
                self._settle()
            kept = list(self._prepared.items())[-PREPARED + 1 :]
            self._prepared = dict([*kept, (id(deployment), known)])
        return known

    def _routed(self, followed: Followed, asked: Asked, body: bytes) -> Asked:
        """The same request to the challenger, where it is its turn and it takes what the champion takes."""
        key = routing.key_of(asked.request.entities, followed.use_case.entity.key, asked.request_id)
        chosen = routing.choose(followed, key)
        if chosen is asked.prepared.deployment:
            return asked
        prepared = self._prepare(chosen, followed.use_case)
        try:
            return Asked(asked.request_id, prepared, prepared.decoder.decode(body), asked.begun, instead=asked)
        except Problem:  # complete rows of the champion's features, of which the challenger has others
            return structs.replace(asked, beside=chosen)

    def _without_store(self, asked: Asked, why: str, seconds: float = 1.0) -> Rows:
        """The default row for each entity where the use case allows it, or the ``Problem`` of status 503."""
        detail = f"the online store of {self.name} {why}; complete rows can be predicted"
        if asked.prepared.use_case.serving.on_missing_store == "refuse":
            raise Problem(503, "No features", detail, retry_after=math.ceil(seconds))
        try:
            row = asked.prepared.defaults
        except ValueError as error:
            raise Problem(503, "No features", f"{detail}; the defaults cannot be used: {error}") from error
        return Rows.defaults(row, asked.request.entities or (), asked.request.as_of or datetime.now(UTC))


def deployment_of(followed: Followed, follower: Follower) -> Deployment:
    """The model that is served, or the ``Problem`` of status 503 that says why there is none."""
    if followed.deployment is not None:
        return followed.deployment
    why = followed.problem or follower.registry.problem
    if why is None and followed.wanted is None:
        why = f"no version is {follower.alias} yet" if followed.asked else "the registry has not been asked yet"
    raise Problem(503, "No model", f"{followed.use_case.name}: {why or 'the model is being loaded'}")


def default_row(config: ServingConfig, features: tuple[Feature, ...]) -> dict[str, Any]:
    """What every feature is by default; ``ValueError`` names a default that no feature of the model takes."""
    kinds = {feature.name: feature.kind for feature in features}
    for name, value in config.defaults.items():
        if name not in kinds:
            raise ValueError(f"serving.defaults.{name}: the model has no such feature")
        if not fits(value, kinds[name]):
            raise ValueError(f"serving.defaults.{name}: expected {EXPECTED[kinds[name]]}, got {value!r}")
    return {name: config.defaults.get(name) for name in kinds}


def _not_found(request: Request, error: EntitiesNotFound) -> Problem:
    when = f"that counts at {request.as_of.isoformat()}" if request.as_of else "that counts now"
    entities: Any = request.entities
    errors = [(f"entities[{at}]", f"{dict(entities[at])} has no row online {when}") for at in error.positions]
    detail = "; ".join(f"{field}: {message}" for field, message in errors[:3])
    return Problem(404, "Entity not found", detail, errors[:20])
