"""The HTTP application."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Path, Query
from fastapi.responses import RedirectResponse, Response

from include.contract.loading import Folder
from include.registry.models import CHAMPION
from include.serving import documentation, problems, status
from include.serving.follower import Deployment, Followed, Follower
from include.serving.lookup import LookupFactory
from include.serving.metrics import CONTENT_TYPE, Metrics
from include.serving.online_features import shared_store
from include.serving.prediction import answer
from include.serving.prediction_log import PredictionLog
from include.serving.problems import Problem
from include.serving.schemas import Entities, PredictRequest, PredictResponse, ProblemDocument, Ready, UseCaseStatus
from include.settings import Settings

Name = Annotated[str, Path(title="Use case", description="The name of the use case.")]

DESCRIPTION = """
Predictions of the models in production. Each use case serves the version that its alias in the registry names, and
changes to another version without an interruption. Give the key of an entity, and its features are looked up in the
online store, or give a complete row of features. Every answer carries the model's version and is kept in the
prediction log under its `request_id`.

To try it: take a key from **Known entities** and send it with **Predict**, whose examples can be sent as they are.
"""


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    told = {
        400: "The body is not JSON.",
        404: "No such use case, or the online store does not know the entity.",
        422: "A field is missing, unknown or of a wrong type; `errors` names it.",
        503: "No model has the alias yet, or a store cannot be reached.",
    }
    schema = {problems.MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}}}
    return {code: {"description": told[code], "model": ProblemDocument, "content": schema} for code in statuses}


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
    logs = {name: PredictionLog(settings.predictions, name) for name in use_cases}
    metrics = Metrics(follower)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        follower.start()
        yield
        follower.stop()
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
    documentation.install(app, follower)
    _operations(app, follower, metrics)
    _models(app, follower)
    _predictions(app, follower, metrics, logs)
    return app


def _predictions(app: FastAPI, follower: Follower, metrics: Metrics, logs: Mapping[str, PredictionLog]) -> None:
    @app.post(
        documentation.PREDICT,
        tags=["predictions"],
        summary="Predict",
        response_model=PredictResponse,
        responses=_errors(400, 404, 422, 503),
    )
    def predict(use_case: Name, body: PredictRequest) -> Response:
        """Predict for entities (their features are looked up) or for complete rows of features."""
        deployment = _deployment(_followed(follower, use_case), follower)
        content = answer(use_case, deployment, body, logs[use_case])
        metrics.predicted(use_case, len(content["predictions"]))
        return Response(orjson.dumps(content), media_type="application/json")

    @app.middleware("http")
    async def measure(request: Any, call_next: Any) -> Response:
        start = time.perf_counter()
        code = 500
        try:
            response: Response = await call_next(request)
            code = response.status_code
        finally:
            parts = request.url.path.split("/")
            if request.method == "POST" and parts[-1] == "predict":
                name = parts[2] if len(parts) == 4 and parts[2] in logs else "unknown"  # labels must stay few
                metrics.request(name, code, time.perf_counter() - start)
        return response


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

    @app.get("/v1/{use_case}", tags=["models"], summary="The served model", responses=_errors(404))
    def model(use_case: Name) -> UseCaseStatus:
        """The version that is served, its features, and what stands in the way."""
        return status.use_case_status(_followed(follower, use_case), follower)

    @app.get(
        "/v1/{use_case}/entities", tags=["predictions"], summary="Known entities", responses=_errors(404, 422, 503)
    )
    def entities(use_case: Name, limit: Annotated[int, Query(ge=1, le=100)] = 10) -> Entities:
        """A few of the newest entities that have features, to try the API with."""
        lookup = _deployment(_followed(follower, use_case), follower).lookup
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


def _deployment(followed: Followed, follower: Follower) -> Deployment:
    """The model to answer with; a request keeps it to its end."""
    if followed.deployment is not None:
        return followed.deployment
    why = followed.problem or follower.registry.problem
    if why is None and followed.wanted is None:
        why = f"no version is {follower.alias} yet" if followed.asked else "the registry has not been asked yet"
    raise Problem(503, "No model", f"{followed.use_case.name}: {why or 'the model is being loaded'}")
