"""What kind of shift is it? Findings about inputs, labels and losses, put together and named for what they are.

*missingness*: values are there less (or more) often. *unit*: a number is the same quantity in another unit. *category*:
new categories came, or known ones went. *covariate*: inputs moved in another way, P(x). *season*: inputs moved as they
do at this time of every year, which is no drift. *label*: the labels moved, P(y). *concept*: the same inputs mean
something else, P(y | x).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from include.contract.use_case import Task
from include.monitoring.concept import Change
from include.monitoring.drift import DriftReport, FeatureDrift
from include.records import Record

Kind = Literal["missingness", "unit", "category", "covariate", "season", "label", "concept"]
MAINLY = 0.5  # of a categorical column's move that new or gone categories must explain


@dataclass(frozen=True)
class Shift(Record):
    """One kind of shift, in the columns (or slices) that show it."""

    kind: Kind
    columns: tuple[str, ...]
    reasons: tuple[str, ...]


def diagnose(
    task: Task,
    drift: DriftReport | None,
    conversions: Mapping[str, str],
    label: FeatureDrift | None,
    changes: Sequence[Change],
) -> tuple[Shift, ...]:
    """Name what was found, the inputs first; empty where nothing has moved.

    ``conversions``: by column the unit that it seems to be in now. A column is named once, by the plainest cause. Where
    a regression's inputs have moved, too, a rise of its loss may come from them, and the reason says so.
    """
    named: dict[Kind, list[tuple[str, str]]] = {}
    for column in drift.features if drift else ():
        if column.drifted:
            kind, reason = _of_column(
                column, conversions, drift.alpha if drift else 0.0, drift.effect if drift else 0.0
            )
            named.setdefault(kind, []).append((column.name, reason))
    named["season"] = [(each.name, each.reasons[-1]) for each in (drift.features if drift else ()) if each.seasonal]
    moved = [name for found in named.values() for name, _ in found]
    if label is not None and label.computed and label.drifted:
        named["label"] = [(label.name, "; ".join(label.reasons))]
    named["concept"] = list(_concept(task, changes, moved))
    order: tuple[Kind, ...] = ("missingness", "unit", "category", "covariate", "season", "label", "concept")
    return tuple(
        Shift(kind, tuple(name for name, _ in found), tuple(f"{name}: {reason}" for name, reason in found))
        for kind in order
        if (found := named.get(kind))
    )


def _of_column(column: FeatureDrift, conversions: Mapping[str, str], alpha: float, effect: float) -> tuple[Kind, str]:
    before, now = column.missing_reference or 0.0, column.missing_current
    if not column.computed:
        return "missingness" if now in (None, 1.0) else "covariate", "; ".join(column.reasons)
    change = (now or 0.0) - before
    if column.missing_q_value is not None and column.missing_q_value < alpha and abs(change) >= effect:
        return "missingness", f"{before:.1%} of the values were missing, now {now or 0.0:.1%}"
    if column.name in conversions:
        return "unit", f"its values look converted: {conversions[column.name]}"
    if column.kind == "categorical" and (share := _new_or_gone(column)):
        came = f"{len(column.new_categories)} new categories with {share[0]:.1%} of the rows"
        went = f"{len(column.gone_categories)} gone ones that had {share[1]:.1%}"
        return "category", f"{came}, {went}"
    return "covariate", f"effect {column.effect:.3g}" if column.effect is not None else "; ".join(column.reasons)


def _new_or_gone(column: FeatureDrift) -> tuple[float, float] | None:
    """The shares of new and of gone categories among the drawn ones, where they explain most of the move."""
    if column.histogram is None or not column.effect:
        return None
    drawn = zip(column.histogram.labels, column.histogram.reference, column.histogram.current, strict=True)
    shares = [(name, before, now) for name, before, now in drawn]
    came = sum(now for name, _, now in shares if name in column.new_categories)
    went = sum(before for name, before, _ in shares if name in column.gone_categories)
    return (came, went) if max(came, went) >= MAINLY * column.effect else None


def _concept(task: Task, changes: Sequence[Change], moved: Sequence[str]) -> Iterator[tuple[str, str]]:
    doubt = ""
    if task == "regression" and moved:
        doubt = f"; inputs moved, too ({', '.join(moved[:3])}), and may be the cause"
    for change in changes:
        if change.drifted:
            yield change.what, change.reason + doubt
