"""How soon does the flights' model grow stale, and how often is it worth learning it anew?

Prequential evaluation with a rolling origin: from Mar 1 to the end of the year each week's flights are predicted two
hours before their departure by the model that was in use when the week began. A model is learned from the flights that
had landed at the midnight of its fit, and is used until the next. Compared are

- the model of January and February, left as it is;
- models learned anew every so many weeks from all flights so far, or from those of the last eight weeks only.

Models are compared on the same flights; the intervals of differences are those of a paired bootstrap of whole days.
To keep the more than fifty fits affordable the estimator takes fewer and larger steps than the use case's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from benchmarks import flights
from benchmarks.flights import Flights
from include.contract.metrics import METRICS
from include.figures import BLUE, GREEN, GREY, ORANGE
from include.gate.comparison import Comparison, compare_paired

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIRST_WEEK, END = date(2013, 3, 1), date(2014, 1, 1)
WEEKS = -(-(END - FIRST_WEEK).days // 7)  # the last has five days
STEPS = {"learning_rate": 0.1, "max_iter": 80}  # 200 of 0.04 cost two and a half times as much
EVERY, NEVER = 4, WEEKS
INTERVALS = (1, 2, 4, 8, 13, NEVER)  # weeks
RECENT = timedelta(weeks=8)
LEAST = 0.73
CONFIDENCE = 0.975  # of each end: intervals of 95 %
RESAMPLES = 2000

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Year:
    """The flights' features by row, and what says which rows a model may learn from."""

    flights: Flights
    rows: pl.DataFrame

    @cached_property
    def features(self) -> pd.DataFrame:
        return self.rows.select(self.flights.columns(self.rows)).to_pandas()

    @cached_property
    def labels(self) -> Vector:
        return self.rows[self.flights.label].to_numpy().astype(np.float64)

    @cached_property
    def days(self) -> NDArray[np.datetime64]:
        return self.flights.days(self.rows).to_numpy()

    @cached_property
    def weeks(self) -> NDArray[np.int64]:
        """Negative before the first week that is predicted."""
        return (self.days - np.datetime64(FIRST_WEEK)).astype(np.int64) // 7

    @property
    def scored(self) -> NDArray[np.bool_]:
        return self.weeks >= 0

    def fit(self, week: int, recent: timedelta | None = None) -> Any:
        """The model learned at the midnight at which the week begins."""
        origin = FIRST_WEEK + timedelta(weeks=week)
        learned = (self.rows["known"] <= self.flights.midnight(origin)).to_numpy()
        if recent is not None:
            learned &= self.days >= np.datetime64(origin - recent)
        return self.flights.estimator(STEPS).fit(self.features[learned], self.labels[learned])


@dataclass(frozen=True, eq=False)
class Policy:
    """What the models of a policy predicted, week after week."""

    year: Year
    predictions: Vector  # of the scored rows

    @property
    def labels(self) -> Vector:
        return self.year.labels[self.year.scored]

    @cached_property
    def loss(self) -> float:
        return METRICS["log_loss"](self.labels, self.predictions)

    @cached_property
    def weekly(self) -> dict[str, Vector]:
        """The metrics of each week."""
        parts = [self.year.weeks[self.year.scored] == week for week in range(WEEKS)]
        return {
            name: np.array([METRICS[name](self.labels[part], self.predictions[part]) for part in parts])
            for name in ("roc_auc", "log_loss")
        }

    @property
    def auc(self) -> float:
        return float(self.weekly["roc_auc"].mean())

    def wins(self, other: Policy) -> int:
        """The weeks with a lower log-loss than the other's."""
        return int(np.sum(self.weekly["log_loss"] < other.weekly["log_loss"]))


@cache
def against(ours: Policy, other: Policy) -> Comparison:
    """By how much the pooled log-loss is lower than the other's."""
    days = ours.year.days[ours.year.scored]
    options: dict[str, Any] = {"margin": 0.0, "confidence": CONFIDENCE, "resamples": RESAMPLES, "seed": 0}
    return compare_paired(ours.labels, ours.predictions, other.predictions, days, METRICS["log_loss"], **options)


def follow(year: Year, fit: Callable[[int], Any], every: int) -> Policy:
    """Predicts week after week, with a fit at every so many of them."""
    predictions = np.full(len(year.labels), np.nan)
    for week in range(0, WEEKS, every):
        used = (year.weeks >= week) & (year.weeks < week + every)
        predictions[used] = fit(week).predict_proba(year.features[used])[:, 1]
    return Policy(year, predictions[year.scored])


def difference(found: Comparison) -> str:
    low, high = found.interval
    return f"{found.difference:+.4f} ({low:+.4f} to {high:+.4f})"


def run() -> list[dict[str, Any]]:
    source = flights.read()
    year = Year(source, flights.known(source, flights.DURING))
    fit = cache(year.fit)
    anew = {every: follow(year, fit, every) for every in INTERVALS}  # all flights so far
    recent = follow(year, lambda week: year.fit(week, RECENT), EVERY)
    draw(anew, recent)
    return [*against_static(anew[EVERY], recent, anew[NEVER]), *(how_often(anew, every) for every in INTERVALS)]


def against_static(full: Policy, recent: Policy, static: Policy) -> list[dict[str, Any]]:
    """What is gained by a fit every four weeks."""
    found, peer = against(full, static), "peer: Jan - Feb, left as it is"
    common: dict[str, Any] = {"limit": None, "goal": None, "met": None}
    loss: dict[str, Any] = {**common, "peer": static.loss, "unit": "nats a flight"}
    auc: dict[str, Any] = {**common, "peer": static.auc, "unit": "AUC"}
    entries = [
        {**auc, "name": "mean weekly roc_auc, all flights", "ours": full.auc, "note": peer}
        | {"limit": LEAST, "goal": f"at least {LEAST}", "met": full.auc >= LEAST},
        {**loss, "name": "log_loss, all flights", "ours": full.loss}
        | {"goal": "lower, surely", "met": found.interval[0] > 0}
        | {"note": f"lower by {difference(found)}, in {full.wins(static)} of {WEEKS} weeks"},
        {**auc, "name": "mean weekly roc_auc, last 8 weeks", "ours": recent.auc, "note": peer},
        {**loss, "name": "log_loss, last 8 weeks", "ours": recent.loss}
        | {
            "note": f"lower by {difference(against(recent, static))}, in {recent.wins(static)} of {WEEKS} weeks; all "
            f"flights lower than the last 8 weeks by {difference(against(full, recent))}"
        },
    ]
    return [{**entry, "ratio": entry["ours"] / entry["peer"]} for entry in entries]


def how_often(anew: dict[int, Policy], every: int) -> dict[str, Any]:
    """All flights so far, learned at another interval."""
    ours, usual, fits = anew[every], anew[EVERY], len(range(0, WEEKS, every))
    name = "once" if every == NEVER else f"every {every} week{'s' * (every > 1)}"
    return {
        "name": f"log_loss, all flights, {name}",
        "ours": ours.loss,
        "peer": usual.loss,
        "limit": None,
        "ratio": ours.loss / usual.loss,
        "goal": None,
        "met": None,
        "unit": "nats a flight",
        "note": f"{fits} fit{'s' * (fits > 1)}; peer: every {EVERY} weeks"
        + ("" if every == EVERY else f"; lower by {difference(against(ours, usual))}"),
    }


def draw(anew: dict[int, Policy], recent: Policy) -> None:
    with flights.picture("staleness", (11, 4.4), (3, 2)) as (by_week, by_interval):
        draw_weeks(by_week, anew[EVERY], recent, anew[NEVER])
        draw_intervals(by_interval, anew)


def draw_weeks(axes: Axes, full: Policy, recent: Policy, static: Policy) -> None:
    begins: Any = [FIRST_WEEK + timedelta(weeks=week) for week in range(WEEKS)]
    lines = (
        ("all flights so far", full, BLUE, "-"),
        ("last 8 weeks only", recent, ORANGE, "--"),
        ("Jan - Feb, left as it is", static, GREY, "-"),
    )
    for name, policy, colour, style in lines:
        label = f"{name}: mean {policy.auc:.3f}"
        axes.plot(begins, policy.weekly["roc_auc"], style, color=colour, lw=1.6, label=label)
    for fitted in begins[::EVERY]:
        axes.axvline(fitted, color=GREEN, lw=0.8, alpha=0.5, label="fit" if fitted == FIRST_WEEK else None)
    axes.set_title(f"Learned anew every {EVERY} weeks", loc="left", fontsize=11)
    axes.set_ylabel("AUC of the week, two hours before departure")
    axes.set_xlabel("first day of the week, 2013")
    axes.set_xticks(begins[::8], [f"{day:%b} {day.day}" for day in begins[::8]])
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper left", bbox_to_anchor=(0, -0.16))


def draw_intervals(axes: Axes, anew: dict[int, Policy]) -> None:
    static = anew[NEVER]
    shorter = [every for every in INTERVALS if every != NEVER]
    found = [against(anew[every], static) for every in shorter]
    spread = [
        [each.interval[1] - each.difference for each in found],
        [each.difference - each.interval[0] for each in found],
    ]
    losses, label = [anew[every].loss for every in shorter], "all flights so far, difference at 95 %"
    axes.errorbar(range(len(shorter)), losses, yerr=spread, fmt="o-", color=BLUE, capsize=3, label=label)
    axes.axhline(static.loss, color=GREY, label=f"Jan - Feb, left as it is: {static.loss:.4f}")
    axes.set_title("How often?", loc="left", fontsize=11)
    axes.set_ylabel("log-loss of all weeks, nats a flight")
    axes.set_xlabel("weeks between two fits")
    axes.set_xticks(range(len(shorter)), [f"{every}\n{len(range(0, WEEKS, every))} fits" for every in shorter])
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.2))


if __name__ == "__main__":
    from benchmarks.__main__ import table

    print(table(run()))
