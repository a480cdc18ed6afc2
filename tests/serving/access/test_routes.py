"""What a path asks of a token; what is not known asks for most."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.serving.access.routes import Needed, opened, required, template
from include.serving.app import create_app
from include.settings import Settings


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("POST", "/v1/trips/predict", Needed("predict", "trips")),
        ("GET", "/v1/trips/entities", Needed("predict", "trips")),
        ("GET", "/v1/trips", Needed("predict", "trips")),
        ("HEAD", "/v1/trips", Needed("predict", "trips")),
        ("GET", "/v1", Needed("predict", None)),
        ("GET", "/docs", Needed("predict", None)),
        ("GET", "/static/swagger-ui.css", Needed("predict", None)),
        ("GET", "/metrics", Needed("admin", None)),
        ("GET", "/v1/trips/predict", Needed("admin", "trips")),
        ("POST", "/v1/trips/predict/", Needed("admin", "trips")),
        ("POST", "/v1/trips/predict\n", Needed("admin", "trips")),
        ("POST", "/v1//predict", Needed("predict", "")),
        ("POST", "/v1/a/b/predict", Needed("admin", "a")),
        ("GET", "//v1/trips", Needed("admin", None)),
        ("GET", "/metrics/", Needed("admin", None)),
        ("GET", "", Needed("admin", None)),
        ("DELETE", "/v1/trips", Needed("admin", "trips")),
    ],
)
def test_a_path_needs(method: str, path: str, needed: Needed) -> None:
    assert required(method, path) == needed


def test_each_route_of_the_app_is_in_the_table_or_open() -> None:
    app = create_app(Settings(), {})
    known = opened(docs=True, metrics=False)
    asks = {
        (method.upper(), path): required(method.upper(), path).scope
        for path, operations in app.openapi()["paths"].items()
        for method in operations
        if path not in known
    }
    admin = {path for (_, path), scope in asks.items() if scope == "admin"}
    assert admin == {"/metrics"}
    assert len(asks) >= 5


@given(st.text(max_size=30), st.sampled_from(["GET", "POST", "PUT"]))
def test_any_other_path_is_closed(path: str, method: str) -> None:
    for each in (path, f"/{path}", f"/v1/{path}"):
        assert required(method, each).scope in ("predict", "admin")
        assert template(each)[0] not in opened(docs=False, metrics=False)
