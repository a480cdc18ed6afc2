"""The page on which a person tries the API. All of it is served from here: there is no network where it runs."""

from __future__ import annotations

import logging
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from include.serving.follower import Deployment, Followed, Follower
from include.serving.lookup import Known

log = logging.getLogger(__name__)

PREDICT = "/v1/{use_case}/predict"
UI = {"tryItOutEnabled": True, "displayRequestDuration": True, "defaultModelsExpandDepth": 0}


def install(app: FastAPI, follower: Follower) -> None:
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
        examples: dict[str, Any] = {}
        for name, followed in follower.states.items():
            examples |= _examples(name, followed)
        if examples:
            schema["paths"][PREDICT]["post"]["requestBody"]["content"]["application/json"]["examples"] = examples
        for operations in schema["paths"].values():
            for operation in operations.values():
                _offer_names(operation, list(follower.states))
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def _offer_names(operation: dict[str, Any], names: list[str]) -> None:
    for parameter in operation.get("parameters", []):
        if parameter["name"] == "use_case" and names:
            parameter["schema"]["enum"] = names


def _examples(name: str, followed: Followed) -> dict[str, Any]:
    """Bodies that can be sent as they stand."""
    deployment = followed.deployment
    if deployment is None:
        return {}
    examples: dict[str, Any] = {}
    known = _known(name, deployment)
    if known.entities:
        moment = {"as_of": known.as_of.isoformat()} if known.as_of else {}
        examples[f"{name}, an entity"] = {"value": {"entities": known.entities[:1], **moment, "explain": True}}
        examples[f"{name}, several entities"] = {"value": {"entities": known.entities, **moment}}
    predictor = deployment.predictor
    row: dict[str, Any] = dict(predictor.contents.example)
    for feature in predictor.features:
        if feature.kind == "boolean" and row[feature.name] is not None:
            row[feature.name] = bool(row[feature.name])
    examples[f"{name}, a complete row"] = {"value": {"rows": [row]}}
    return examples


def _known(name: str, deployment: Deployment) -> Known:
    nothing = Known([], None)
    try:
        return deployment.lookup.known(3) if deployment.lookup else nothing
    except Exception:
        log.exception("%s: no entities for the examples", name)
        return nothing
