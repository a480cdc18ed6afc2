"""The overview, and how the model of one use case does."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from include.history.chained_file import HistoryError
from include.pages import known, replicas
from include.pages import use_case as health
from include.pages.actions import ACTIONS
from include.pages.airflow import Airflow, AirflowRefusedError, Question, Run, Scheduled
from include.pages.light import WORDS
from include.pages.overview import card, spark
from include.pages.site import may, named, render
from include.settings import get_settings

RUNS = 8  # of a use case that are listed
TAG = "evergreen"

router = APIRouter()


@router.get("/", response_class=HTMLResponse)
def models(request: Request) -> HTMLResponse:
    discovery, settings = known.use_cases(), get_settings()
    allowed = may(request)
    cards = [card(folder) for name, folder in discovery.found.items() if allowed("GET", f"{name}.ingest")]
    return render(
        request,
        "models",
        cards=cards,
        errors=[str(error) for error in discovery.errors],
        counts=Counter(each.light.state for each in cards),
        words={state: WORDS[state] for state in ("ill", "look", "well", "new")},
        mlflow=settings.mlflow_pages,
        serving=settings.serving_pages,
    )


@router.get("/sparklines", response_class=HTMLResponse)
def sparklines(request: Request) -> HTMLResponse:
    """For each use case its quality over the newest observations: a part of the overview, since many are read."""
    allowed, found = may(request), known.use_cases().found
    sparks = {name: spark(folder) for name, folder in found.items() if allowed("GET", f"{name}.ingest")}
    return render(request, "sparklines", sparks=sparks)


@router.get("/runs", response_class=HTMLResponse)
async def all_runs(request: Request) -> HTMLResponse:
    """For each use case its last and next runs and what waits for an answer: a part of the overview."""
    names = [name for name in known.use_cases().found if may(request)("GET", f"{name}.ingest")]
    try:
        async with Airflow.of(request) as airflow:
            found = await airflow.overview(TAG)
    except AirflowRefusedError as error:
        return render(request, "problem", problem=str(error))
    return render(request, "all_runs", names=names, found=[_of(name, *found) for name in names])


@router.get("/{use_case}/runs", response_class=HTMLResponse)
async def runs(request: Request, use_case: str) -> HTMLResponse:
    """The same of one use case: a part of its page."""
    name = named(request, use_case)[0].config.name
    try:
        async with Airflow.of(request) as airflow:
            latest = await airflow.latest(f"{name}.", RUNS)
            found = _of(name, latest, await airflow.scheduled(name), await airflow.questions())
    except AirflowRefusedError as error:
        return render(request, "problem", problem=str(error))
    return render(request, "runs", name=name, found=found)


@router.get("/{use_case}/replicas", response_class=HTMLResponse)
async def serving(request: Request, use_case: str) -> HTMLResponse:
    """What the serving replicas answer with: a part of a use case's page."""
    name = named(request, use_case)[0].config.name
    return render(request, "replicas", replicas=await replicas.ask(get_settings().replicas, name))


@router.get("/{use_case}/rollout", response_class=HTMLResponse)
def rollout(request: Request, use_case: str) -> HTMLResponse:
    """What each version did in the last rollout: a part of a use case's page, since predictions are read for it."""
    from include.deployment import arms

    folder, _ = named(request, use_case)
    try:
        found = arms.table(folder)
    except (HistoryError, ValueError) as error:
        return render(request, "problem", problem=str(error))
    return render(request, "rollout", arms=found, case=folder.config)


@router.get("/{use_case}", response_class=HTMLResponse)
def one(request: Request, use_case: str, span: str = "") -> HTMLResponse:
    folder, _ = named(request, use_case)
    page = health.page(folder, span)
    values: dict[str, Any] = {"case": folder.config, "tab": "health", "heading": folder.config.title}
    return render(request, "health", page=page, actions=ACTIONS, spans=list(health.SPANS), **values)


def _of(name: str, latest: list[Run], planned: list[Scheduled], questions: list[Question]) -> dict[str, list[Any]]:
    """What is about a use case; its DAGs are named after it."""
    all_found: dict[str, list[Any]] = {"latest": latest, "planned": planned, "questions": questions}
    return {key: [each for each in found if each.dag_id.partition(".")[0] == name] for key, found in all_found.items()}
