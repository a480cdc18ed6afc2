"""Which groups of the flights' features matter: each left out of the model, and each as all that it has.

A group is what the feature definitions tag as one kind; the history and the intraday views are groups of their own, and
together. With the use case's estimator, once two hours before departure, in spring, and once at midnight, in autumn:

- left out: by how much the log-loss of later flights rises without the group, learned anew. What other groups also say
  is no loss: groups that replace each other may both look idle, and only leaving out both shows what they are worth;
- alone: by how much the log-loss is lower than that of the rate in training.

Both are paired by flight; their intervals are those of a bootstrap of whole days.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks import flights
from benchmarks.flight_delay_quality import SPLITS, Split
from benchmarks.flights import DURING, MIDNIGHT, Flights
from include.contract.metrics import METRICS
from include.figures import BLUE, GREY, ORANGE
from include.gate.comparison import Comparison, compare_paired

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BY_VIEW = ("history", "intraday")  # kinds of which each view is a group of its own
CONFIDENCE = 0.975  # of each end: intervals of 95 %
RESAMPLES = 2000
LIGHT = "#B8B8B8"

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A service on a split; only every so many flights are learned from, to bound the cost of many fits."""

    name: str
    service: str
    split: Split
    thinned: int
    indispensable: str  # the group without which the model must be surely worse


CASES = (
    Case("two hours before, spring", DURING, SPLITS[0], 1, "intraday (all)"),
    Case("midnight, autumn", MIDNIGHT, SPLITS[1], 4, "history (all)"),
)


@dataclass(frozen=True)
class Trial:
    """Models of some of the columns, learned and tested on the same flights."""

    flights: Flights
    train: pl.DataFrame
    test: pl.DataFrame

    @cached_property
    def labels(self) -> Vector:
        return self.test[self.flights.label].to_numpy().astype(np.float64)

    @cached_property
    def days(self) -> NDArray[np.datetime64]:
        return self.flights.days(self.test).to_numpy()

    @cached_property
    def rate(self) -> Vector:
        """The prediction of who knows no feature."""
        learned = self.train[self.flights.label].to_numpy().astype(np.float64)
        return np.full(len(self.labels), learned.mean())

    def predict(self, columns: list[str]) -> Vector:
        model = self.flights.estimator()
        ((name, encoder, all_categories),) = model.get_params()["columns__transformers"]
        categories = [name for name in all_categories if name in columns]
        model.set_params(
            columns__transformers=[(name, encoder, categories)],
            trees__categorical_features=list(range(len(categories))),
        )
        model.fit(self.train.select(columns).to_pandas(), self.train[self.flights.label].to_numpy())
        predicted: Vector = model.predict_proba(self.test.select(columns).to_pandas())[:, 1]
        return predicted

    def compare(self, ours: Vector, other: Vector) -> Comparison:
        """By how much the log-loss is lower than the other's."""
        options: dict[str, Any] = {"margin": 0.0, "confidence": CONFIDENCE, "resamples": RESAMPLES, "seed": 0}
        return compare_paired(self.labels, ours, other, self.days, METRICS["log_loss"], **options)


@dataclass(frozen=True)
class Group:
    """What a group of features is worth."""

    name: str
    columns: int
    left_out: Comparison  # the model of all features against that without the group
    alone: Comparison  # the model of the group against the rate
    auc: tuple[float, float, float]  # of all features, without the group, of the group alone

    @property
    def verdict(self) -> str:
        return {BLUE: "missed", ORANGE: "better without", LIGHT: "may be chance"}[colour(self.left_out)]


def colour(found: Comparison) -> str:
    """What the interval says: above 0, below, or neither."""
    low, high = found.interval
    return BLUE if low > 0 else ORANGE if high < 0 else LIGHT


def groups(year: Flights, service: str) -> dict[str, list[str]]:
    """The columns of each group."""
    from include.features.describe import is_view
    from include.features.store import definitions

    views = {each.name: each for each in definitions(year.use_case) if is_view(each)}
    found: dict[str, list[str]] = {}
    for projection in year.service(service).feature_view_projections:
        # A service's own fields of an on-demand view have no tags.
        kinds = {field.name: field.tags["kind"] for field in views[projection.name].features}
        for name in (feature.name for feature in projection.features):
            kind = kinds[name]
            found.setdefault(projection.name if kind in BY_VIEW else kind, []).append(name)
            if kind in BY_VIEW:
                found.setdefault(f"{kind} (all)", []).append(name)
    return found


def study(year: Flights, case: Case) -> list[Group]:
    """Every group of the service, the one that is missed most first."""
    rows = flights.known(year, case.service)
    train, test = year.divide(rows, case.split.tested_from, case.split.tested_until)
    trial = Trial(year, train.gather_every(case.thinned), test)
    columns = year.columns(rows)
    full = trial.predict(columns)
    auc = METRICS["roc_auc"]
    found = []
    for name, own in groups(year, case.service).items():
        without = trial.predict([column for column in columns if column not in own])
        alone = trial.predict([column for column in columns if column in own])
        scores = (auc(trial.labels, full), auc(trial.labels, without), auc(trial.labels, alone))
        missed, known = trial.compare(full, without), trial.compare(alone, trial.rate)
        found.append(Group(name, len(own), missed, known, scores))
    return sorted(found, key=lambda group: -group.left_out.difference)


def entry(case: Case, group: Group) -> dict[str, Any]:
    needed = group.name == case.indispensable
    full, without, alone = group.auc
    return {
        "name": f"log_loss without {group.name}, {case.name}",
        "ours": group.left_out.champion_value,
        "peer": group.left_out.challenger_value,
        "limit": None,
        "ratio": group.left_out.champion_value / group.left_out.challenger_value,
        "goal": "higher, surely" if needed else None,
        "met": group.left_out.convincing if needed else None,
        "unit": "nats a flight",
        "note": f"{group.verdict}; {group.columns} columns; left out: log-loss {span(group.left_out)}, "
        f"AUC {without - full:+.3f}; alone: log-loss {span(group.alone, -1)} from the rate's, AUC {alone:.3f}",
    }


def span(found: Comparison, sign: int = 1) -> str:
    """The difference with its interval, as it is or as a change of the other sign."""
    low, high = sorted(sign * end for end in found.interval)
    return f"{sign * found.difference:+.4f} ({low:+.4f} to {high:+.4f})"


def run() -> list[dict[str, Any]]:
    year = flights.read()
    studies = [study(year, case) for case in CASES]
    draw(studies)
    return [entry(case, group) for case, found in zip(CASES, studies, strict=True) for group in found]


def draw(studies: list[list[Group]]) -> None:
    """Two panels for each case, with the groups in the same order."""
    with flights.picture("ablations", (13, 4.8), (1,) * 2 * len(studies)) as panels:
        for number, (case, found) in enumerate(zip(CASES, studies, strict=True)):
            left_out, alone = panels[2 * number : 2 * number + 2]
            bars(left_out, [group.left_out for group in found])
            bars(alone, [group.alone for group in found])
            left_out.set_yticks(range(len(found)), [group.name for group in found], fontsize=8)
            alone.set_yticks(range(len(found)), [""] * len(found))
            left_out.set_title(f"{case.name}: left out", loc="left", fontsize=10)
            alone.set_title("alone", loc="left", fontsize=10)
            left_out.set_xlabel("rise of the log-loss,\nnats a flight", fontsize=9)
            alone.set_xlabel("log-loss below that of the rate,\nnats a flight", fontsize=9)


def bars(axes: Axes, found: Iterable[Comparison]) -> None:
    """Grey: the interval of 95 % holds 0; orange: it is below."""
    for place, each in enumerate(found):
        axes.barh(place, each.difference, color=colour(each), height=0.7)
        axes.plot(each.interval, [place, place], color=GREY, lw=1.4)
    axes.axvline(0, color="black", lw=0.8)
    axes.invert_yaxis()
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(axis="x", labelsize=8)


if __name__ == "__main__":
    from benchmarks.__main__ import table

    print(table(run()))
