"""The forms of the actions: what each asks, and the parameters of the run that come of the answers.

``..._fields`` gives what is asked; the function without it turns a form into parameters, and raises ``ValueError`` that
names the field and the cure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from include.contract.loading import Folder
from include.deployment import ledger
from include.deployment.eligible import eligible, to_try
from include.deployment.modes import END, modes, weight

WINDOW = re.compile(r"[0-9]+[hdw]")
TRUE = "yes"

Form = Mapping[str, str]


@dataclass(frozen=True)
class Field:
    """One field of a form; ``choices`` by value what they say. A switch is ``yes`` or absent."""

    name: str
    label: str
    hint: str = ""
    kind: Literal["text", "number", "choice", "switch", "json"] = "text"
    default: str = ""
    choices: tuple[tuple[str, str], ...] = ()


REASON = Field("reason", "Reason", "Is kept with what comes of it.", default="by hand")


def train_fields(use_case: Folder) -> tuple[Field, ...]:
    window = use_case.config.training.window
    known = "all of the history" if window is None else f"{window.days} days"
    return (
        Field("until", "Learn until", "Key of the last partition to use. Empty: the newest that was published."),
        Field("window", "Length of history", f"How far back to learn, e.g. 8w or 90d. Empty: {known}."),
        Field("model_params", "Model parameters", "A JSON object that overrides those of the file.", "json", "{}"),
        Field("search", "Search for parameters", "Where the use case has a search. Off: a quick run.", "switch", TRUE),
        REASON,
    )


def train(use_case: Folder, form: Form) -> dict[str, Any]:
    window = form.get("window", "")
    if window and not WINDOW.fullmatch(window):
        raise ValueError(f"Length of history: {window!r} is none; expected a number with h, d or w, e.g. 8w")
    return {
        "until": _partition(use_case, form, "until", "Learn until"),
        "window": window or None,
        "model_params": _object(form.get("model_params", ""), "Model parameters"),
        "search": form.get("search") == TRUE,
        "reason": _reason(form),
    }


def judge_fields(_: Folder) -> tuple[Field, ...]:
    return Field("version", "Model version", "A version that was registered.", "number"), REASON


def judge(_: Folder, form: Form) -> dict[str, Any]:
    return {"version": _version(form), "reason": _reason(form)}


def rollout_fields(use_case: Folder) -> tuple[Field, ...]:
    known, promotion = to_try(use_case.config.name), use_case.config.promotion
    ways = (*modes(promotion).items(),)
    return (
        Field("mode", "Mode", "How the version is tried, or that the rollout is to end.", "choice", ways[0][0], ways),
        _choice("version", "Model version", "A version that the gate has judged.", known, "none, to end a rollout"),
        Field(
            "weight",
            "Weight",
            "The share of requests that a canary answers, above 0 and below 1.",
            default=f"{weight(promotion)}",
        ),
        REASON,
    )


def rollout(use_case: Folder, form: Form) -> dict[str, Any]:
    mode, known = form.get("mode", ""), modes(use_case.config.promotion)
    if mode not in known:
        raise ValueError(f"Mode: {mode!r} is none; expected one of {', '.join(known)}")
    version = None if mode == END else _version(form)
    share = _number(form.get("weight", ""), "Weight")
    if not 0 < share < 1:
        raise ValueError(f"Weight: {share:g} is no share; expected a number above 0 and below 1")
    return {"version": version, "mode": mode, "weight": share, "reason": _reason(form)}


def rollback_fields(use_case: Folder) -> tuple[Field, ...]:
    known = {each.version: str(each) for each in eligible(ledger.read(use_case.config.name))}
    return (
        _choice("version", "Model version", "A version that has served before.", known, "the previous champion"),
        REASON,
    )


def rollback(_: Folder, form: Form) -> dict[str, Any]:
    return {"version": _version(form) if form.get("version") else None, "reason": _reason(form)}


def replay_fields(use_case: Folder) -> tuple[Field, ...]:
    return (
        Field("start", "First partition", f"Key of a {use_case.config.cadence} partition."),
        Field("end", "Last partition", "Empty: only the first."),
        Field("reason", "Reason", "Part of a check's name as the quarantine or the refusal shows it."),
        Field("from_source", "Read the source again", "After a fix of the source. Off: the rows as landed.", "switch"),
        Field("accept_changes", "Accept changes of the source", "Changed columns are meant so.", "switch"),
    )


def replay(use_case: Folder, form: Form) -> dict[str, Any]:
    start, end = (_partition(use_case, form, name, name.capitalize()) for name in ("start", "end"))
    reason = form.get("reason", "").strip() or None
    if not start and not reason:
        raise ValueError("First partition: give a partition to replay, or a reason, or both")
    switches = {name: form.get(name) == TRUE for name in ("from_source", "accept_changes")}
    return {"start": start, "end": end, "reason": reason, **switches}


def reproduce_fields(_: Folder) -> tuple[Field, ...]:
    return (
        Field("version", "Model version", "The version to make again.", "number"),
        Field("tolerance", "Tolerance", "By how much a prediction may differ.", default="1e-06"),
    )


def reproduce(_: Folder, form: Form) -> dict[str, Any]:
    tolerance = _number(form.get("tolerance", ""), "Tolerance")
    if tolerance < 0:
        raise ValueError(f"Tolerance: {tolerance:g} is below 0")
    return {"version": _version(form), "tolerance": tolerance}


def _choice(name: str, label: str, hint: str, known: Mapping[int, str], none: str) -> Field:
    choices = (("", none), *((str(version), text) for version, text in known.items()))
    return Field(name, label, hint, "choice", "", choices)


def _version(form: Form) -> int:
    text = form.get("version", "").strip()
    if not text.isdigit() or not 0 < int(text) < 2**31:
        raise ValueError(f"Model version: {text!r} is none; expected a number from 1 on")
    return int(text)


def _partition(use_case: Folder, form: Form, name: str, label: str) -> str | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    try:
        return use_case.config.calendar.partition(text).key
    except ValueError as error:
        raise ValueError(f"{label}: {error}") from None


def _number(text: str, label: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{label}: {text!r} is no number") from None


def _object(text: str, label: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text.strip() or "{}", type=dict[str, Any])
    except msgspec.MsgspecError:
        raise ValueError(f'{label}: expected a JSON object, e.g. {{"max_depth": 4}}') from None


def _reason(form: Form) -> str:
    return form.get("reason", "").strip() or "by hand"
