"""What can be done about a model from its pages. Every action is a run of one of the use case's DAGs."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from include.contract.loading import Folder
from include.pages import forms
from include.pages.forms import Field, Form

RUN_ID = "models_page__"  # what the runs that are started here begin with
ATTEMPT = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Action:
    """``fields`` asks, ``conf`` turns the answers into the run's parameters; ``ValueError`` names field and cure."""

    name: str
    stage: str
    title: str
    does: str
    fields: Callable[[Folder], tuple[Field, ...]]
    conf: Callable[[Folder, Form], dict[str, Any]]
    grave: bool = False  # it changes what is answered


def new_attempt() -> str:
    """What names a run before it is started, so that a form that is sent twice starts one."""
    return uuid.uuid4().hex


def run_id(attempt: str) -> str:
    """``ValueError`` where the text is no attempt."""
    if not ATTEMPT.fullmatch(attempt):
        raise ValueError("attempt: is none of a form of these pages; begin again")
    return f"{RUN_ID}{attempt}"


_ALL = (
    Action(
        name="train",
        stage="train",
        title="Train",
        does="Fits a model, registers it as a candidate and has it judged.",
        fields=forms.train_fields,
        conf=forms.train,
    ),
    Action(
        name="judge",
        stage="promote",
        title="Have a version judged",
        does="Brings a version through staging and the gate; if it passes, into production.",
        fields=forms.judge_fields,
        conf=forms.judge,
        grave=True,
    ),
    Action(
        name="rollout",
        stage="rollout",
        title="Roll out",
        does="Tries a version beside the champion, walks it to production, or ends that.",
        fields=forms.rollout_fields,
        conf=forms.rollout,
        grave=True,
    ),
    Action(
        name="rollback",
        stage="rollback",
        title="Roll back",
        does="Puts an earlier champion back into production.",
        fields=forms.rollback_fields,
        conf=forms.rollback,
        grave=True,
    ),
    Action(
        name="replay",
        stage="replay",
        title="Replay",
        does="Brings partitions back through validation after a fix.",
        fields=forms.replay_fields,
        conf=forms.replay,
    ),
    Action(
        name="reproduce",
        stage="reproduce",
        title="Reproduce",
        does="Makes a version again and compares the two.",
        fields=forms.reproduce_fields,
        conf=forms.reproduce,
    ),
)
ACTIONS = {action.name: action for action in _ALL}
