"""Days are no independent draws: how often is a week of real flights called drift, and what is called so in a year?

A stationary stretch is made of the flights of March 4 to June 23 by drawing whole weeks without replacement, eight as
the reference and six as what comes after: days, weekdays and spells of weather stay as they were, the season is spread
over both sides. On each of thirty days in a row the seven days before are compared. The peers see the same windows: the
same rule without blocks, which takes every flight for a draw of its own, and the rule of most tutorials. The last two
weeks of the reference, as long as the gate's test stretch, are what rows as a whole are held against.

Then the year itself, week by week against January and February: the alarms beside what happened.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import flights
from benchmarks.drift_false_alarms import tutorial
from include.contract.monitoring import DriftConfig
from include.figures import BLUE, GREY, ORANGE
from include.monitoring import outliers
from include.monitoring.drift import compare, decide
from include.monitoring.reference import ReferenceProfile
from include.monitoring.whole_rows import whole_rows

LIBRARIES = ("numpy", "polars", "scipy")
DAY, WEEK = "day", timedelta(weeks=1)
STRETCH, WEEKS = date(2013, 3, 4), 16
REFERENCE, GATE, LOOKS = 8, 2, 30  # weeks, weeks, days
MONTHS = 20
PEER_MONTHS = 4
SHIFT = 0.5
FIRST = date(2013, 3, 4)  # the first week of the year that is held against January and February
PLAN = ("distance", "block_minutes", "departure_minute", "plane_seats")
PICTURE = "drift_year"
ALONE = "whole rows, each flight a draw"


@cache
def rows_by_day(file: str) -> dict[date, pl.DataFrame]:
    parts = pl.read_parquet(file).partition_by(DAY, as_dict=True)
    return {key[0]: part for key, part in parts.items()}


def stationary(file: str, month: int) -> list[pl.DataFrame]:
    """The days of drawn weeks in their new order, dated anew."""
    days = rows_by_day(file)
    order = np.random.default_rng(month).permutation(WEEKS)
    drawn = [STRETCH + week * WEEK + timedelta(days=day) for week in order.tolist() for day in range(7)]
    return [
        days[old].with_columns(pl.lit(STRETCH + timedelta(days=place)).alias(DAY)) for place, old in enumerate(drawn)
    ]


def one_month(file: str, month: int) -> dict[str, float]:
    """Alarms of thirty daily looks, for some months the peers' too, and the share of shifts of the plan seen."""
    config, days = DriftConfig(), stationary(file, month)
    reference = pl.concat(days[: 7 * REFERENCE])
    profile = ReferenceProfile.of(reference, blocks=DAY)
    found = {"ours": 0.0, "named": 0.0, "whole rows": 0.0}
    if month < PEER_MONTHS:
        found |= {"without blocks": 0.0, "tutorial": 0.0, ALONE: 0.0}
    gate = pl.concat(days[7 * (REFERENCE - GATE) : 7 * REFERENCE])
    for look in range(LOOKS):
        end = 7 * REFERENCE + 7 + look
        window = pl.concat(days[end - 7 : end])
        report = compare(profile, window, config, blocks=DAY)
        found["ours"] += bool(report.drifted)
        found["named"] += len(report.drifted)
        found["whole rows"] += whole_rows(gate, window, config, seed=month, blocks=DAY).alarm
        if month < PEER_MONTHS:
            found["without blocks"] += bool(compare(profile, window, config).drifted)
            found["tutorial"] += tutorial(reference.drop(DAY), window.drop(DAY))
            alone = whole_rows(gate.drop(DAY), window.drop(DAY), config, seed=month)
            found[ALONE] += alone.alarm
        if look == 0:
            seen = [_shifted(profile, window, name, report.features, config) for name in PLAN]
            found["seen"] = float(np.mean(seen))
    return found


def _shifted(profile: ReferenceProfile, window: pl.DataFrame, name: str, others: Any, config: DriftConfig) -> bool:
    alone = ReferenceProfile(profile.rows, {name: profile.features[name]})
    spread = profile.features[name].sd  # type: ignore[union-attr]
    moved = window.select(DAY, pl.col(name) + SHIFT * spread)
    columns = [*compare(alone, moved, config, blocks=DAY).features, *(each for each in others if each.name != name)]
    return decide(columns, config.alpha, config.effect)[0].drifted


def span(file: str, start: date, end: date) -> pl.DataFrame:
    """The days from ``start`` until the one before ``end``."""
    return pl.concat([rows for day, rows in sorted(rows_by_day(file).items()) if start <= day < end])


@cache
def winter(file: str) -> ReferenceProfile:
    return ReferenceProfile.of(span(file, date(2013, 1, 1), date(2013, 3, 1)), blocks=DAY)


def one_week(file: str, first: date) -> dict[str, Any]:
    """What is material, and out of bounds, in the week that begins on a day."""
    config, profile, window = DriftConfig(), winter(file), span(file, first, first + WEEK)
    report = compare(profile, window, config, blocks=DAY)
    named = sorted((each for each in report.features if each.drifted), key=lambda each: -(each.effect or 0))
    without = compare(profile, window, config)
    out = outliers.find(profile, window, config, blocks=DAY)
    return {
        "first": first,
        "drifted": [each.name for each in named],
        "without": len(without.drifted),
        "outliers": list(out.alarms),
    }


def happenings(found: flights.Flights, rows: pl.DataFrame) -> pl.DataFrame:
    """By day: planned flights, the share that never landed as planned, the share that landed late."""
    zone = found.use_case.config.timezone
    local = pl.col("scheduled_departure").dt.convert_time_zone(zone).dt.date().alias(DAY)
    planned = found.departures.group_by(local).agg(pl.len().alias("planned"))
    landed = rows.group_by(DAY).agg(pl.len().alias("landed"), pl.col(found.label).mean().alias("late"))
    return planned.join(landed, on=DAY).with_columns(gone=1 - pl.col("landed") / pl.col("planned")).sort(DAY)


def weekly(by_day: pl.DataFrame, first: date) -> dict[str, Any]:
    week = by_day.filter(pl.col(DAY).is_between(first, first + timedelta(days=6)))
    worst = week.sort("gone", descending=True).row(0, named=True)
    landed = int(week["landed"].sum())
    return {
        "late": float((week["late"] * week["landed"]).sum() / landed),
        "gone": 1 - landed / int(week["planned"].sum()),
        "worst": f"{worst[DAY]:%b} {worst[DAY].day}",
        "worst_gone": worst["gone"],
    }


def table(weeks: list[dict[str, Any]]) -> str:
    """As Markdown."""
    lines = [
        "| week of | drifted | most | outliers | without blocks | late | cancelled or diverted | worst day |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for week in weeks:
        first, drifted = week["first"], week["drifted"]
        lines.append(
            f"| {first:%b} {first.day} | {len(drifted) or ''} | {', '.join(drifted[:2])} | "
            f"{', '.join(week['outliers'][:2])} | {week['without']} | {week['late']:.0%} | {week['gone']:.1%} | "
            f"{week['worst']} ({week['worst_gone']:.0%}) |"
        )
    return "\n".join(lines)


def draw(weeks: list[dict[str, Any]]) -> None:
    """Alarms above what happened."""
    with flights.picture(PICTURE, (9.6, 3.8), (1, 1)) as (alarms, events):
        places = np.arange(len(weeks))
        alarms.step(places, [week["without"] for week in weeks], color=GREY, where="mid", label="every flight a draw")
        alarms.bar(places, [len(week["drifted"]) for week in weeks], color=ORANGE, label="days hang together")
        alarms.set_title("features called drift", loc="left", fontsize=11)
        events.plot(places, [100 * week["late"] for week in weeks], color=BLUE, label="late, %")
        events.plot(places, [100 * week["gone"] for week in weeks], color=ORANGE, label="cancelled or diverted, %")
        events.set_title("what happened", loc="left", fontsize=11)
        for axes in (alarms, events):
            axes.set_xticks(places[::6], [f"{weeks[place]['first']:%b %d}" for place in places[::6]])
            axes.set_xlabel("week of 2013, against January and February")
            axes.legend(frameon=False, fontsize=9)


def entries(months: list[dict[str, float]], weeks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    ours, whole = (float(np.mean([each[what] for each in months])) for what in ("ours", "whole rows"))
    for peer in ("without blocks", "tutorial"):
        rate = float(np.mean([each[peer] for each in months if peer in each]))
        yield {
            "name": f"drift: days with a false alarm in 30 on a stationary stretch, {MONTHS} months drawn; peer, "
            f"{PEER_MONTHS} of them: {'ours' if peer == 'without blocks' else 'the tutorial rule'}, each flight a draw",
            "ours": ours, "peer": rate, "ratio": ours / rate if rate else None, "goal": "below 1", "met": ours < 1,
            "unit": "a month",
        }  # fmt: skip
    yield {
        "name": f"outliers: days with a false alarm for rows as a whole in 30 on these stretches; peer, {PEER_MONTHS} "
        "of them: ours, each flight a draw",
        "ours": whole, "peer": float(np.mean([each[ALONE] for each in months if ALONE in each])),
        "goal": "below 1", "met": whole < 1, "unit": "a month",
    }  # fmt: skip
    yield {
        "name": f"drift: a shift of {SHIFT} sd in a column of the plan is seen in that week",
        "ours": float(np.mean([each["seen"] for each in months])), "goal": "", "met": None, "unit": "share of shifts",
    }  # fmt: skip
    yield {
        "name": "drift: weeks of 2013 with a drifted feature, against January and February",
        "ours": sum(bool(week["drifted"]) for week in weeks), "peer": sum(week["without"] > 0 for week in weeks),
        "goal": "", "met": None, "unit": f"of {len(weeks)} weeks", "note": "peer: the same, every flight a draw",
    }  # fmt: skip


def run() -> list[dict[str, Any]]:
    read = flights.read()
    rows = flights.known(read)
    rows = rows.select(*read.columns(rows), read.label, read.days(rows).alias(DAY))
    by_day = happenings(read, rows)
    firsts = [FIRST + week * WEEK for week in range((date(2013, 12, 30) - FIRST) // WEEK)]
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "rows.parquet")
        rows.drop(read.label).write_parquet(file)
        with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
            months = list(pool.map(one_month, [file] * MONTHS, range(MONTHS)))
            found = list(pool.map(one_week, [file] * len(firsts), firsts))
    weeks = [{**each, **weekly(by_day, each["first"])} for each in found]
    draw(weeks)
    print(table(weeks))
    return list(entries(months, weeks))
