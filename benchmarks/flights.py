"""The flights of a year with their labels, and with a feature service's columns as known at each flight's moment.

In memory, without stores, through the use case's own code: what of a feature view was known at a moment is found as the
feature store finds it, by the view's own time to live. Labels count as known when their flights had landed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before scikit-learn is imported

import polars as pl

from benchmarks.in_memory import History, compute, point_in_time, read_all
from include.contract.loading import Folder, load_use_case

if TYPE_CHECKING:
    from feast import FeatureService
    from matplotlib.axes import Axes

FIRST, LAST = "2012-12-31", "2013-12-31"
MIDNIGHT, DURING = "flight_delay", "flight_delay_2h"  # the services
AHEAD = timedelta(hours=2)
FASTEST_WIND = 200.0  # miles an hour: one observation of the year says 1,048 and is put into quarantine
PICTURES = Path(__file__).resolve().parent.parent / "docs" / "images"


@dataclass(frozen=True)
class Flights:
    """Every feature view's rows and every label of the days that were read."""

    use_case: Folder
    history: History
    departures: pl.DataFrame  # flight_id, scheduled_departure

    @property
    def label(self) -> str:
        return self.use_case.config.label.name

    def columns(self, rows: pl.DataFrame) -> list[str]:
        """The features among the columns of ``known``."""
        return [name for name in rows.columns if name not in ("event_timestamp", "known", self.label)]

    def midnight(self, day: date) -> datetime:
        """The instant at which a day begins."""
        zone = ZoneInfo(self.use_case.config.timezone)
        return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)

    def days(self, rows: pl.DataFrame) -> pl.Series:
        return rows["event_timestamp"].dt.convert_time_zone(self.use_case.config.timezone).dt.date()

    def divide(self, rows: pl.DataFrame, tested_from: date, tested_until: date) -> tuple[pl.DataFrame, pl.DataFrame]:
        """What had landed when the test begins, and the flights of the days from then on, without the last one."""
        start, end = self.midnight(tested_from), self.midnight(tested_until)
        within = (rows["event_timestamp"] >= start) & (rows["event_timestamp"] < end)
        return rows.filter(rows["known"] <= start), rows.filter(within)

    def estimator(self, params: Mapping[str, Any] | None = None) -> Any:
        """The use case's unfitted estimator; ``params`` take the place of its own."""
        training = self.use_case.config.training
        return self.use_case.model.build({**training.params, **(params or {}), "seed": training.seed})

    def service(self, name: str) -> FeatureService:
        from feast import FeatureService

        from include.features.store import definitions

        (found,) = [
            each for each in definitions(self.use_case) if isinstance(each, FeatureService) and each.name == name
        ]
        return found


def read(last: str = LAST) -> Flights:
    """All days until ``last``."""
    use_case = load_use_case("flight_delay")
    calendar = use_case.config.calendar
    windows = read_all(use_case.source, calendar.span(calendar.partition(FIRST), calendar.partition(last)), accept)
    departures = pl.concat([window.table("schedule").select("flight_id", "scheduled_departure") for window in windows])
    return Flights(use_case, compute(use_case.features, windows), departures)


def accept(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("wind_speed") <= FASTEST_WIND) if table == "weather" else rows


def moments(flights: Flights, service: str) -> pl.DataFrame:
    """The labels, with ``event_timestamp`` the instant at which the service is asked."""
    if service == MIDNIGHT:
        return flights.history.labels
    # The plan of a flight that leaves in the first two hours is known at midnight, and not before.
    ahead = pl.max_horizontal("event_timestamp", pl.col("scheduled_departure") - AHEAD)
    labels = flights.history.labels.join(flights.departures, on="flight_id", how="left", maintain_order="left")
    return labels.with_columns(event_timestamp=ahead).drop("scheduled_departure")


def known(flights: Flights, service: str = MIDNIGHT) -> pl.DataFrame:
    """Every labelled flight with the service's features as known at its moment."""
    from feast import Entity

    from include.features.store import definitions, feature_names

    config, history = flights.use_case.config, flights.history
    chosen = flights.service(service)
    defined = definitions(flights.use_case)
    join_key = {each.name: each.join_key for each in defined if isinstance(each, Entity)}
    asked = {projection.name for projection in chosen.feature_view_projections}
    views = {each.name: each for each in defined if each.name in asked}
    own = config.entity.view

    def add(joined: pl.DataFrame, name: str) -> pl.DataFrame:
        keys = {key: config.join_keys[key] for key in (join_key[entity] for entity in views[name].entities)}
        return point_in_time(joined, history.views[name], keys, views[name].ttl)

    stored = [name for name in history.views if name in asked]
    in_order = [own, *(name for name in stored if name != own)]  # the entity's view holds the keys of the others
    rows = reduce(add, in_order, moments(flights, service))
    for view in (views[name] for name in asked.difference(stored)):
        inputs = [feature.name for each in view.source_feature_view_projections.values() for feature in each.features]
        found = view.transform_dict(rows.select(inputs).to_dict(as_series=False))
        rows = rows.with_columns(**{feature.name: pl.Series(found[feature.name]) for feature in view.features})
    return rows.select("event_timestamp", "known", config.label.name, *feature_names(chosen))


@contextmanager
def picture(name: str, size: tuple[float, float], widths: Sequence[float]) -> Iterator[list[Axes]]:
    """Panels side by side, written to the documentation's pictures once they are drawn.

    The same numbers give the same bytes.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, facecolor="white", layout="constrained")
    panels: Any = figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0]
    for axes in panels:
        axes.grid(color="#E3E3E3", lw=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    yield list(panels)
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(PICTURES / f"{name}.svg", format="svg", metadata={"Date": None, "Creator": None})
