"""The HTTP application."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Path, Query
from fastapi.responses import RedirectResponse, Response

from include.contract.loading import Folder
from include.registry.models import CHAMPION
from include.serving import documentation, problems, status
from include.serving.access.admission import Admission
from include.serving.access.current import CurrentTokens
from include.serving.access.gate import Gate
from include.serving.access.limiter import Limit, Limiter
from include.serving.access.middleware import Access
from include.serving.direct import Direct
from include.serving.endpoint import Limits, PredictEndpoint
from include.serving.explanations import Explanations
from include.serving.followed import Followed
from include.serving.follower import Follower
from include.serving.lookup import LookupFactory
from include.serving.metrics import CONTENT_TYPE, Metrics
from include.serving.online_features import shared_store
from include.serving.prediction_log import PredictionLog
from include.serving.problems import Problem
from include.serving.schemas import Entities, PredictRequest, PredictResponse, Ready, UseCaseStatus
from include.serving.service import Service, deployment_of
from include.serving.shadow import ShadowQueue
from include.settings import Settings

FIRST_LOOK = 60.0  # seconds that a start waits at most until what is in production is loaded

Name = Annotated[str, Path(title="Use case", description="The name of the use case.")]

DESCRIPTION = """
Predictions of the models in production. Each use case serves the version that its alias in the registry names, and
changes to another version without an interruption. Give the key of an entity, and its features are looked up in the
online store, or give a complete row of features. Every answer carries the model's version and is kept in the
prediction log under its `request_id`.

To try it: take a key from **Known entities** and send it with **Predict**, whose examples can be sent as they are.
"""


def create_app(
    settings: Settings,
    use_cases: Mapping[str, Folder],
    *,
    alias: str = CHAMPION,
    lookup_factory: LookupFactory | None = None,
    interval: float = 1.0,
) -> FastAPI:
    """The application for these use cases; it follows the registry while it runs."""
    follower = Follower(
        {name: folder.config for name, folder in use_cases.items()}, alias, lookup_factory or shared_store(), interval
    )
    logs = {name: PredictionLog.of(folder.config, settings) for name, folder in use_cases.items()}
    explanations, admission = Explanations(), Admission(settings.requests_in_progress, settings.requests_waiting)
    shadows = ShadowQueue(lambda use_case, time, line, columns: logs[use_case].append(time, line, columns))
    metrics = Metrics(follower, shadows, logs)
    # What was loaded stays for long: no collection of garbage during a request has to look through it.
    services = {
        name: Service(follower, name, log, explanations, shadows, settle=gc.freeze) for name, log in logs.items()
    }

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        follower.start()
        # The port opens after this: a replica that starts beside others is asked when it can answer.
        await asyncio.to_thread(follower.looked, FIRST_LOOK)
        yield
        admission.close()
        await admission.drained(settings.request_timeout)
        follower.stop()
        shadows.close()
        for log in logs.values():
            log.close()

    app = FastAPI(
        title="Evergreen predictions",
        description=DESCRIPTION,
        version="1",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        openapi_tags=[{"name": "predictions"}, {"name": "models"}, {"name": "operations"}],
    )
    app.state.follower = follower
    problems.install(app)
    documentation.install(app, follower, settings)
    _operations(app, follower, metrics)
    _models(app, follower)
    _describe_predictions(app)
    limits = Limits(settings.body_limit, settings.request_timeout, remote=bool(settings.redis))
    app.add_middleware(PredictEndpoint, services=services, admission=admission, metrics=metrics, limits=limits)
    tokens = CurrentTokens(settings.tokens, Limit.of(settings.request_rate, settings.request_burst))
    gate = Gate(tokens, Limiter(), settings)
    app.add_middleware(Access, gate=gate)
    app.state.direct = Direct(services, gate, metrics, limits)
    return app


def _describe_predictions(app: FastAPI) -> None:
    @app.post(
        documentation.PREDICT,
        tags=["predictions"],
        summary="Predict",
        response_model=PredictResponse,
        responses=documentation.errors(400, 404, 408, 413, 415, 422, 503, 504),
    )
    def predict(use_case: Name, body: PredictRequest) -> None:
        """Predict for entities (their features are looked up) or for complete rows of features."""
        # For its description: PredictEndpoint stands in front and answers.


def _operations(app: FastAPI, follower: Follower, metrics: Metrics) -> None:
    @app.get("/", include_in_schema=False)
    def root() -> RedirectResponse:
        return RedirectResponse("docs")

    @app.get("/health/live", tags=["operations"], summary="Is the process alive?")
    def live() -> dict[str, str]:
        return {"status": "alive"}

    @app.get(
        "/health/ready",
        tags=["operations"],
        summary="Can it predict?",
        response_model=Ready,
        responses={503: {"model": Ready, "description": "A use case's model is not loaded yet."}},
    )
    def ready() -> Response:
        """200 when each use case that has a version with the alias serves a model."""
        state = status.ready(follower)
        return Response(state.model_dump_json(), 200 if state.ready else 503, media_type="application/json")

    @app.get("/metrics", tags=["operations"], summary="Prometheus metrics", response_class=Response)
    def prometheus() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE)


def _models(app: FastAPI, follower: Follower) -> None:
    @app.get("/v1", tags=["models"], summary="Use cases")
    def use_cases() -> list[UseCaseStatus]:
        """All use cases with what is served for each."""
        return [status.use_case_status(followed, follower) for followed in follower.states.values()]

    @app.get("/v1/{use_case}", tags=["models"], summary="The served model", responses=documentation.errors(404))
    def model(use_case: Name) -> UseCaseStatus:
        """The version that is served, its features, and what stands in the way."""
        return status.use_case_status(_followed(follower, use_case), follower)

    @app.get(
        "/v1/{use_case}/entities",
        tags=["predictions"],
        summary="Known entities",
        responses=documentation.errors(404, 422, 503),
    )
    def entities(use_case: Name, limit: Annotated[int, Query(ge=1, le=100)] = 10) -> Entities:
        """A few of the newest entities that have features, to try the API with."""
        lookup = deployment_of(_followed(follower, use_case), follower).lookup
        if lookup is None:
            raise Problem(503, "No features", f"the online store of {use_case} cannot be read")
        try:
            known = lookup.known(limit)
            return Entities(use_case=use_case, entities=known.entities, as_of=known.as_of)
        except FileNotFoundError as error:
            raise Problem(503, "No features", str(error)) from error


def _followed(follower: Follower, name: str) -> Followed:
    followed = follower.states.get(name)
    if followed is None:
        raise Problem(404, "No such use case", f"{name!r} is none of {', '.join(follower.states) or 'no use cases'}")
    return followed
