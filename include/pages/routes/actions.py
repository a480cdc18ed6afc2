"""Forms that start a run or answer a question: asked, shown once more to be confirmed, and only then sent."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from include.contract.loading import Folder
from include.history.chained_file import HistoryError
from include.pages import actions, same_origin, versions
from include.pages.actions import ACTIONS, Action
from include.pages.airflow import Airflow, AirflowRefusedError, Question
from include.pages.site import base, may, named, render

CONFIRMED = "confirmed"
TOO_LATE = "{} waits for no answer any more; the history of decisions tells what came of it"

router = APIRouter()


@router.get("/{use_case}/actions/{action}", response_class=HTMLResponse)
def ask(request: Request, use_case: str, action: str) -> HTMLResponse:
    """The form. What stands in the address is filled in."""
    folder, chosen = _chosen(request, use_case, action)
    return _form(request, folder, chosen, dict(request.query_params))


@router.post("/{use_case}/actions/{action}")
async def start(request: Request, use_case: str, action: str) -> Response:
    """Without ``confirmed``, what would be started; with it, the run is started, once for each form."""
    form = await same_origin.form(request)
    folder, chosen = _chosen(request, use_case, action)
    try:
        conf = chosen.conf(folder, form)
        run_id = actions.run_id(form["attempt"]) if CONFIRMED in form else ""
    except (ValueError, KeyError) as error:
        return _form(request, folder, chosen, form, problem=str(error))
    if not run_id:
        values: dict[str, Any] = {
            "case": folder.config,
            "tab": "",
            "heading": chosen.title,
            "attempt": actions.new_attempt(),
        }
        return render(request, "confirm", action=chosen, conf=conf, form=form, **values)
    dag_id = f"{folder.config.name}.{chosen.stage}"
    try:
        async with Airflow.of(request) as airflow:
            await airflow.trigger(dag_id, run_id, conf, "from the Models page")
    except AirflowRefusedError as error:
        return _form(request, folder, chosen, form, problem=str(error), status=error.status)
    return RedirectResponse(f"{base(request)}/{folder.config.name}/actions/{action}/{run_id}", 303)


@router.get("/{use_case}/actions/{action}/{run_id}", response_class=HTMLResponse)
def started(request: Request, use_case: str, action: str, run_id: str) -> HTMLResponse:
    folder, chosen = _chosen(request, use_case, action)
    values: dict[str, Any] = {"case": folder.config, "tab": "", "heading": chosen.title}
    return render(request, "started", action=chosen, run_id=run_id, **values)


@router.get("/{use_case}/actions/{action}/{run_id}/state", response_class=HTMLResponse)
async def state(request: Request, use_case: str, action: str, run_id: str) -> HTMLResponse:
    """How a run is: a part of the page that tells that it was started."""
    folder, chosen = _chosen(request, use_case, action)
    try:
        async with Airflow.of(request) as airflow:
            run = await airflow.run(f"{folder.config.name}.{chosen.stage}", run_id)
    except AirflowRefusedError as error:
        return render(request, "problem", problem=str(error))
    return render(request, "run_state", run=run)


@router.get("/{use_case}/approvals/{run_id}", response_class=HTMLResponse)
async def question(request: Request, use_case: str, run_id: str) -> HTMLResponse:
    """What waits for an answer in a run, with the gate's verdict."""
    folder, _ = named(request, use_case)
    asked, _ = await _asked(request, folder, run_id)
    if asked is None:
        raise HTTPException(404, TOO_LATE.format(run_id))
    return _approval(request, folder, asked)


@router.post("/{use_case}/approvals/{run_id}")
async def answer(request: Request, use_case: str, run_id: str) -> Response:
    """Without ``confirmed``, the answer is shown once more; with it, it is given, once however often it is sent."""
    form = await same_origin.form(request)
    folder, _ = named(request, use_case)
    done = RedirectResponse(f"{base(request)}/{folder.config.name}/actions/judge/{run_id}", 303)
    asked, known = await _asked(request, folder, run_id)
    option, note = form.get("option", ""), form.get("note", "").strip()
    if asked is None:
        if CONFIRMED in form and option in known:
            return done
        raise HTTPException(404, TOO_LATE.format(run_id))
    if option not in asked.options:
        problem = f"{option!r} is no answer; expected {' or '.join(asked.options)}"
        return _approval(request, folder, asked, problem=problem, status=400)
    if CONFIRMED not in form:
        return _approval(request, folder, asked, option=option, note=note)
    try:
        async with Airflow.of(request) as airflow:
            await airflow.answer(asked, option, {"note": note} if note else {})
    except AirflowRefusedError as error:
        return _approval(request, folder, asked, problem=str(error), status=error.status)
    return done


def _chosen(request: Request, use_case: str, action: str) -> tuple[Folder, Action]:
    """The use case and the action; 404 where there is none, 403 where the user may not start its runs."""
    folder, _ = named(request, use_case)
    if action not in ACTIONS:
        raise HTTPException(404, f"{action!r} is no action; there are {', '.join(ACTIONS)}")
    chosen = ACTIONS[action]
    _require(request, folder, chosen.stage)
    return folder, chosen


def _require(request: Request, folder: Folder, stage: str) -> None:
    dag_id = f"{folder.config.name}.{stage}"
    if not may(request)("POST", dag_id):
        raise HTTPException(403, f"you may look at {folder.config.name}, and not start runs of {dag_id}")


def _form(
    request: Request, folder: Folder, chosen: Action, given: dict[str, str], *, problem: str = "", status: int = 400
) -> HTMLResponse:
    try:
        fields = chosen.fields(folder)
    except (HistoryError, ValueError) as error:
        raise HTTPException(500, str(error)) from error
    values: dict[str, Any] = {"case": folder.config, "tab": "", "heading": chosen.title, "problem": problem}
    code = status if problem else 200
    return render(request, "action", code, action=chosen, fields=fields, given=given, filled=bool(problem), **values)


async def _asked(request: Request, folder: Folder, run_id: str) -> tuple[Question | None, tuple[str, ...]]:
    """What a promotion waits for; where it waits for nothing, None and what was answered."""
    _require(request, folder, "promote")
    dag_id = f"{folder.config.name}.promote"
    try:
        async with Airflow.of(request) as airflow:
            for each in await airflow.questions():
                if (each.dag_id, each.run_id) == (dag_id, run_id):
                    return each, ()
            return None, await airflow.answered(dag_id, run_id)
    except AirflowRefusedError as error:
        raise HTTPException(error.status, str(error)) from error


def _approval(
    request: Request,
    folder: Folder,
    asked: Question,
    *,
    problem: str = "",
    status: int = 200,
    option: str = "",
    note: str = "",
) -> HTMLResponse:
    judged = versions.by_origin(folder, asked.run_id)
    values: dict[str, Any] = {"case": folder.config, "tab": "", "heading": "Approval"}
    return render(
        request, "approval", status, asked=asked, judged=judged, problem=problem, option=option, note=note, **values
    )
