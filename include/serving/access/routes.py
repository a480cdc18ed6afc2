"""What each path of the online service asks of a token, in one table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from include.serving.access.tokens import Scope

USE_CASE = "{use_case}"
STATIC = "/static"  # all below it

HEALTH = frozenset({"/health/live", "/health/ready"})
DOCS = frozenset({"/", "/docs", "/openapi.json", STATIC})
METRICS = frozenset({"/metrics"})

# What is not here asks for admin, so that a route which was forgotten is closed.
SCOPES: dict[tuple[str, str], Scope] = {
    ("GET", "/"): "predict",
    ("GET", "/docs"): "predict",
    ("GET", "/openapi.json"): "predict",
    ("GET", STATIC): "predict",
    ("GET", "/metrics"): "admin",
    ("GET", "/v1"): "predict",
    ("GET", f"/v1/{USE_CASE}"): "predict",
    ("GET", f"/v1/{USE_CASE}/entities"): "predict",
    ("POST", f"/v1/{USE_CASE}/predict"): "predict",
}


@dataclass(frozen=True, slots=True)
class Needed:
    """The scope that a request needs, and the use case it is about; None: it is about all of them."""

    scope: Scope
    use_case: str | None


def opened(*, docs: bool, metrics: bool) -> frozenset[str]:
    """The paths that need no token, as they stand in the table."""
    return HEALTH | (DOCS if docs else frozenset()) | (METRICS if metrics else frozenset())


@lru_cache(1000)  # at each request the same few
def template(path: str) -> tuple[str, str | None]:
    """A path as it stands in the table, and the use case in it: ``/v1/{use_case}/predict`` and ``flight_delay``."""
    if path.startswith("/v1/"):
        _, version, use_case, *rest = path.split("/")
        return "/".join(("", version, USE_CASE, *rest)), use_case
    return (STATIC if path.startswith(f"{STATIC}/") else path), None


@lru_cache(1000)
def required(method: str, path: str) -> Needed:
    """What a request needs that is not open. HEAD needs what GET does."""
    known, use_case = template(path)
    return Needed(SCOPES.get(("GET" if method == "HEAD" else method, known), "admin"), use_case)
