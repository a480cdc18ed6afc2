"""The model card: what a person should know of a version before trusting it (Mitchell et al. 2019, "Model Cards for
Model Reporting"). As Markdown and as one HTML page that needs nothing but itself.

Values may hold any text: in both forms text stays text.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.contract.metrics import METRICS
from include.contract.use_case import Task, UseCase
from include.records import Record
from include.training.evaluate import Evaluation, Gain
from include.training.importance import Importance
from include.training.slices import SMALLEST_SLICE, Slice, Sliced

COLUMNS = 20  # of the importance that are listed
DASH = "\N{EN DASH}"  # where there is no value
TYPES = {".svg": "image/svg+xml", ".png": "image/png"}
SPECIAL = re.compile(r"([\\`*\[\]|#~!$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
OPENING = re.compile(r"^([-+](?=\s|$)|[-=]{2,}|=$|\d+[.)](?=\s|$))")  # would begin a list, a rule or a heading

INTENDED = (
    "To predict {label} for what the use case describes, at the time and from the data that it names, and to support "
    "the people who plan by it."
)
OUT_OF_SCOPE = (
    "Other places, times or populations than those of the training data; questions of cause: the model says what goes "
    "together, not what to change."
)


@dataclass(frozen=True)
class Card(Record):
    """What a card says. ``splits`` and ``baselines`` are evaluations by name; baselines are of the test rows."""

    name: str
    title: str
    description: str
    owners: tuple[str, ...]
    task: Task
    label: str
    label_delay: str
    intended_use: str
    out_of_scope: str
    metric: str  # the one by which versions are compared
    data: dict[str, str]  # window, revision, rows, hash of the training set
    parameters: dict[str, str]
    chosen: str  # how the parameters were
    splits: dict[str, Evaluation]
    baselines: dict[str, Evaluation]
    gains: tuple[Gain, ...]  # over each baseline
    slices: tuple[Sliced, ...]
    unsliced: tuple[str, ...]  # groups that were not looked at
    importance: Importance | None
    reproduce: dict[str, str]  # version, commit, revision, seeds, hash of the environment's lock
    notes: tuple[str, ...] = ()  # e.g. of the fit

    @classmethod
    def of(cls, use_case: UseCase, *, intended_use: str = "", out_of_scope: str = "", **found: Any) -> Card:
        """The card of a version: what the use case says, and ``found``: the fields it does not say."""
        return cls(
            name=use_case.name,
            title=use_case.title,
            description=use_case.description.strip(),
            owners=use_case.owners,
            task=use_case.task,
            label=use_case.label.name,
            label_delay=f"{use_case.label.delay / timedelta(hours=1):g} hours",
            metric=use_case.gate.champion.metric,
            intended_use=intended_use or INTENDED.format(label=use_case.label.name),
            out_of_scope=out_of_scope or OUT_OF_SCOPE,
            **found,
        )

    @property
    def unbeaten(self) -> tuple[Gain, ...]:
        """The baselines that the model does not beat; without an interval, those that it is no better than."""
        return tuple(gain for gain in self.gains if not gain.better and (gain.interval or gain.gain <= 0))

    @property
    def columns(self) -> dict[str, Evaluation]:
        """All evaluations, the splits first."""
        return {**self.splits, **self.baselines}

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that any evaluation has, in their usual order."""
        return tuple(name for name in METRICS if any(name in each.metrics for each in self.columns.values()))

    @property
    def worst(self) -> tuple[tuple[str, Slice], ...]:
        """The worst group of each slice column that has two, by the card's metric."""
        found = [(sliced.column, sliced.worst(self.metric)) for sliced in self.slices]
        return tuple((column, worst) for column, worst in found if worst is not None)

    @property
    def limits(self) -> tuple[str, ...]:
        delay = f"Labels are known {self.label_delay} after the event"
        return (
            f"{delay}; what changed since the training data ends is unknown to the model.",
            "It was judged on the stretch right after what it learned from. It is watched daily, and replaced when its "
            "realized quality drops.",
            "Intervals tell the spread between the days of that stretch, not what another season would bring.",
        )

    @property
    def ethics(self) -> tuple[str, ...]:
        looked = ", ".join(sliced.column for sliced in self.slices) or "none"
        return (
            f"Groups whose quality was looked at: {looked}.",
            f"Groups that were not looked at: {', '.join(self.unsliced) or 'any that the data does not name'}. How "
            "well the model does for them is not known.",
            "A prediction should not alone decide what is hard to undo or touches a person's rights, income or safety: "
            "a person who can overrule it should.",
        )


def markdown(card: Card, pictures: Sequence[str] = ()) -> str:
    """The card as Markdown. ``pictures``: paths beside it, shown where given."""
    template = _environment(markup=False).get_template("card.md.j2")
    return template.render(card=card, pictures=pictures, **_shared())


def page(card: Card, pictures: Mapping[str, bytes] | None = None) -> str:
    """The card as HTML. ``pictures`` by name (``.svg`` or ``.png``) are put in as images, whose scripts never run.

    ``ValueError`` where a picture is of another type.
    """
    sources = {name: _data_uri(name, content) for name, content in (pictures or {}).items()}
    template = _environment(markup=True).get_template("card.html.j2")
    return template.render(card=card, pictures=sources, **_shared())


def plain(value: object) -> str:
    """Any value as Markdown that shows it as it is, on one line, also in the cell of a table."""
    line = " ".join(str(value).split())
    escaped = html.escape(SPECIAL.sub(r"\\\1", line), quote=False)
    # a bare address would become a link
    escaped = escaped.replace("://", ":&#47;&#47;").replace("www.", "www&#46;").replace("@", "&#64;")
    return OPENING.sub(lambda found: "".join(f"&#{ord(letter)};" for letter in found[0]), escaped)


def number(value: float | None) -> str:
    return DASH if value is None else f"{value:.4g}"


def interval(found: Evaluation | None, metric: str) -> str:
    """``0.51 (0.5 to 0.52)``; a dash where the metric is not defined."""
    measured = found.metrics.get(metric) if found else None
    if measured is None:
        return DASH
    ends = "" if measured.interval is None else f" ({measured.interval[0]:.4g} to {measured.interval[1]:.4g})"
    return f"{measured.value:.4g}{ends}"


def _data_uri(name: str, content: bytes) -> str:
    suffix = Path(name).suffix.lower()
    if suffix not in TYPES:
        raise ValueError(f"{name}: a picture of a card is one of {', '.join(TYPES)}")
    return f"data:{TYPES[suffix]};base64,{base64.b64encode(content).decode()}"


def _shared() -> dict[str, Any]:
    return {"interval": interval, "smallest": SMALLEST_SLICE, "listed": COLUMNS, "dash": DASH}


@lru_cache(maxsize=2)
def _environment(*, markup: bool) -> Environment:
    # what the Markdown template prints is escaped without exception too, by the rules of Markdown
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=markup,  # noqa: S701
        finalize=None if markup else plain,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    return environment
