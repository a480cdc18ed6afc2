"""The page on which a person tries the API. All of it is served from here: there is no network where it runs."""

from __future__ import annotations

import copy
import logging
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from include.serving.access.routes import opened, required, template
from include.serving.decoding import Columns
from include.serving.follower import Deployment, Followed, Follower
from include.serving.lookup import Known
from include.serving.problems import MEDIA_TYPE
from include.serving.request_schemas import request_schema
from include.serving.schemas import ProblemDocument
from include.settings import Settings

log = logging.getLogger(__name__)

PREDICT = "/v1/{use_case}/predict"
UI = {"tryItOutEnabled": True, "displayRequestDuration": True, "defaultModelsExpandDepth": 0}
TOKEN = "bearer token"  # noqa: S105 - the name of the scheme
TOLD = {
    400: "The body is not JSON, or the request is malformed.",
    401: "The token is missing, not known, or has expired.",
    403: "The token does not allow this.",
    404: "No such use case, or the online store does not know the entity.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is not said to be JSON.",
    422: "A field is missing, unknown or of a wrong type; `errors` names it.",
    429: "More requests than the client may send; `Retry-After` says when it may again.",
    503: "No model has the alias yet, a store cannot be reached, or too many requests wait.",
    504: "The answer took too long.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the page says of answers that are problem documents."""
    schema = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}}}
    return {code: {"description": TOLD[code], "model": ProblemDocument, "content": schema} for code in statuses}


def install(app: FastAPI, follower: Follower, settings: Settings) -> None:
    """Swagger UI at /docs, with examples of the models that are served at that moment."""
    app.mount("/static", StaticFiles(directory=str(files("fastapi_offline") / "static")), name="static")

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title=app.title,
            swagger_js_url="static/swagger-ui-bundle.js",
            swagger_css_url="static/swagger-ui.css",
            swagger_favicon_url="static/favicon.png",
            swagger_ui_parameters=UI,
        )

    def openapi() -> dict[str, Any]:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
        )
        if states := dict(follower.states):
            general = schema["paths"].pop(PREDICT)
            predictions = {PREDICT.format(use_case=name): _prediction(general, each) for name, each in states.items()}
            schema["paths"] = {**predictions, **schema["paths"]}
        for operations in schema["paths"].values():
            for operation in operations.values():
                _offer_names(operation, list(states))
        _name_access(schema, settings)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def _prediction(general: dict[str, Any], followed: Followed) -> dict[str, Any]:
    """The operation for one use case: what it takes are the columns of its own model."""
    name = followed.use_case.name
    operations = copy.deepcopy(general)
    operation = operations["post"]
    operation |= {"summary": followed.use_case.title, "operationId": f"predict_{name}"}
    del operation["parameters"]
    deployment = followed.deployment
    if deployment is not None:
        lookup, key = deployment.lookup, followed.use_case.entity.key
        columns = Columns.unknown(key) if lookup is None else Columns.of(lookup)
        operation["requestBody"]["content"]["application/json"] = {
            "schema": request_schema(deployment.predictor.features, columns),
            "examples": _examples(name, deployment),
        }
    return operations


def _offer_names(operation: dict[str, Any], names: list[str]) -> None:
    for parameter in operation.get("parameters", []):
        if parameter["name"] == "use_case" and names:
            parameter["schema"]["enum"] = names


def _name_access(schema: dict[str, Any], settings: Settings) -> None:
    """Say of each path that is not open what may stand in front of it: the token, the rate."""
    limited = settings.authentication or settings.request_rate is not None
    statuses = (*((400, 401, 403, 503) if settings.authentication else ()), *((429,) if limited else ()))
    is_open = opened(docs=settings.docs_open, metrics=settings.metrics_open)
    for path, operations in schema["paths"].items():
        if template(path)[0] in is_open:
            continue
        for method, operation in operations.items():
            for status, told in errors(*statuses).items():
                told.pop("model")
                operation["responses"].setdefault(str(status), told)
            if settings.authentication:
                scope = required(method.upper(), path).scope
                operation["security"] = [{TOKEN: []}]
                operation["description"] = f"{operation.get('description', '')}\n\nThe token needs the scope `{scope}`."
    if settings.authentication:
        schema["components"]["securitySchemes"] = {TOKEN: {"type": "http", "scheme": "bearer"}}


def _examples(name: str, deployment: Deployment) -> dict[str, Any]:
    """Bodies that can be sent as they stand."""
    examples: dict[str, Any] = {}
    known = _known(name, deployment)
    if known.entities:
        moment = {"as_of": known.as_of.isoformat()} if known.as_of else {}
        examples["an entity"] = {"value": {"entities": known.entities[:1], **moment, "explain": True}}
        examples["several entities"] = {"value": {"entities": known.entities, **moment}}
    predictor = deployment.predictor
    row: dict[str, Any] = dict(predictor.contents.example)
    for feature in predictor.features:
        if feature.kind == "boolean" and row[feature.name] is not None:
            row[feature.name] = bool(row[feature.name])
    examples["a complete row"] = {"value": {"rows": [row]}}
    return examples


def _known(name: str, deployment: Deployment) -> Known:
    nothing = Known([], None)
    try:
        return deployment.lookup.known(3) if deployment.lookup else nothing
    except Exception:
        log.exception("%s: no entities for the examples", name)
        return nothing
