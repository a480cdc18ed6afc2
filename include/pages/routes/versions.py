"""The versions of a model: all, one, two side by side; and the decisions about them."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse

from include.contract.loading import Folder
from include.history import log as decisions
from include.history.chained_file import HistoryError
from include.pages import comparison, history, lineage, registry, replicas, versions
from include.pages.actions import ACTIONS
from include.pages.registry import RegistryError
from include.pages.site import named, render
from include.settings import get_settings

router = APIRouter()


@router.get("/{use_case}/versions", response_class=HTMLResponse)
def listed(request: Request, use_case: str) -> HTMLResponse:
    config = (folder := named(request, use_case)[0]).config
    page = versions.listing(folder)
    return render(request, "versions", page=page, actions=ACTIONS, case=config, tab="versions", heading="Versions")


@router.get("/{use_case}/versions/{version}", response_class=HTMLResponse)
def one(request: Request, use_case: str, version: int) -> HTMLResponse:
    folder, _ = named(request, use_case)
    heading = f"Version {version}"
    shown = _detail(folder, version)
    return render(request, "version", page=shown, actions=ACTIONS, case=folder.config, tab="versions", heading=heading)


@router.get("/{use_case}/versions/{version}/lineage", response_class=HTMLResponse)
async def way(request: Request, use_case: str, version: int) -> HTMLResponse:
    """From the data revision to the replicas: a part of a version's page, since MLflow and the replicas are asked."""
    folder, _ = named(request, use_case)
    settings, name = get_settings(), folder.config.name
    shown = await asyncio.to_thread(_detail, folder, version)
    made, serving = await asyncio.gather(
        registry.read(name, version), replicas.ask(settings.replicas, name), return_exceptions=True
    )
    if isinstance(serving, BaseException):
        raise serving
    if isinstance(made, BaseException) and not isinstance(made, RegistryError):
        raise made
    registered = None if isinstance(made, BaseException) else made
    found = lineage.steps(shown.row, registered, serving, settings.mlflow_pages)
    problem = str(made) if isinstance(made, BaseException) else ""
    return render(request, "lineage", steps=found, registered=registered, problem=problem, case=folder.config)


@router.get("/{use_case}/compare", response_class=HTMLResponse)
def compared(request: Request, use_case: str, first: int, second: int) -> HTMLResponse:
    folder, _ = named(request, use_case)
    pair = [_detail(folder, version).row for version in (first, second)]
    return render(
        request,
        "compare",
        pair=pair,
        checks=comparison.checks(*pair),
        case=folder.config,
        tab="versions",
        heading=f"Version {first} and version {second}",
    )


@router.get("/{use_case}/compare/made", response_class=HTMLResponse)
async def made(request: Request, use_case: str, first: int, second: int) -> HTMLResponse:
    """What two versions were made of: a part of their comparison, since MLflow is asked."""
    name = named(request, use_case)[0].config.name
    try:
        both = await asyncio.gather(registry.read(name, first), registry.read(name, second))
    except RegistryError as error:
        return render(request, "problem", problem=str(error))
    pairs, only = comparison.identities(*both), comparison.features(*both)
    return render(request, "compare_made", pairs=pairs, only=only, first=first, second=second)


@router.get("/{use_case}/history", response_class=HTMLResponse)
def decided(request: Request, use_case: str, on: str = "", until: int | None = None) -> HTMLResponse:
    folder, _ = named(request, use_case)
    page = history.page(folder, on, until)
    values: dict[str, Any] = {"case": folder.config, "tab": "history", "heading": "Decisions"}
    return render(request, "history", 400 if page.error else 200, page=page, **values)


@router.get("/{use_case}/history/intact", response_class=HTMLResponse)
def intact(request: Request, use_case: str) -> HTMLResponse:
    """Whether the log is whole: a part of the history, since all of the log is read for it."""
    name = named(request, use_case)[0].config.name
    problems = decisions.verify(name)
    head = None
    if not problems:
        head = decisions.head(name)
    return render(request, "intact", problems=problems, head=head)


def _detail(folder: Folder, version: int) -> versions.Detail:
    try:
        found = versions.detail(folder, version)
    except HistoryError as error:
        raise HTTPException(500, str(error)) from error
    if found is None:
        raise HTTPException(404, f"{folder.config.name}: nothing is known of version {version}")
    return found
