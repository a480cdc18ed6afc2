"""The person in the loop: what they are shown, and what they answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from include.contract.loading import Folder
from include.gate.check import DECISIVE
from include.history import log as history
from include.history.log import Decision

if TYPE_CHECKING:
    from include.promotion.judgement import Judgement

APPROVE, REJECT = "Approve", "Reject"
NOTE = "note"


@dataclass(frozen=True)
class Answer:
    """What came of the question: by a person, or by the deadline."""

    approved: bool
    by: str
    note: str


def question(use_case: Folder, judged: Judgement, pages: str) -> str:
    """The comparison as Markdown: the sentence, the picture, the card, and every check with its reason.

    ``pages``: where the Models page is mounted.
    """
    config, verdict = use_case.config, judged.verdict
    here = f"{pages}/{config.name}"
    against = f"champion version {judged.champion}" if judged.champion else "no champion"
    gain = next(check.reason for check in verdict.checks if check.name in DECISIVE)
    failed = [check for check in verdict.checks if not check.passed]
    rows = [
        f"| {check.name} | {'passed' if check.passed else '**failed**'} | {_cell(check.reason)} |"
        for check in (*failed, *(check for check in verdict.checks if check.passed))
    ]
    picture = [f"![Gain by day]({here}/evidence/{judged.evidence}.svg)", ""] if judged.champion else []
    return "\n".join(
        [
            f"**{config.title}**: version {judged.candidate} against {against}.",
            "",
            f"{gain[:1].upper()}{gain[1:]}.",
            "",
            f"[Model card]({here}/cards/{judged.candidate}) · [History of decisions]({here}/history)",
            "",
            *picture,
            "| check | verdict | reason |",
            "| --- | --- | --- |",
            *rows,
            "",
            f"Without an answer within {_in_words(config.approval.deadline)} it is rejected.",
        ]
    )


def record(use_case: Folder, version: int, champion: int | None, response: Mapping[str, Any], *, origin: str) -> Answer:
    """Keep who decided, what, and what they wrote. No answer until the deadline is a rejection."""
    chosen: Sequence[str] = response.get("chosen_options") or ()
    person = response.get("responded_by_user") or {}
    name = str(person.get("name") or person.get("id") or "")
    note = str((response.get("params_input") or {}).get(NOTE) or "").strip()
    approved = bool(name) and list(chosen) == [APPROVE]
    if name:
        outcome, reason = ("approved", f"approved by {name}") if approved else ("rejected", f"rejected by {name}")
    else:
        outcome, reason = "rejected", "nobody answered until the deadline"
    history.append(
        Decision(
            use_case=use_case.config.name,
            kind="approval",
            origin=origin,
            outcome=outcome,
            version=version,
            previous=champion,
            reasons=(reason,),
            actor=name or "deadline",
            note=note,
        )
    )
    return Answer(approved, name or "deadline", note)


def _cell(text: str) -> str:
    """Text as one cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def _in_words(time: timedelta) -> str:
    days, hours = divmod(time.total_seconds() / 3600, 24)
    return " and ".join(
        f"{number:g} {name}{'' if number == 1 else 's'}"
        for number, name in ((days, "day"), (round(hours, 2), "hour"))
        if number
    )
