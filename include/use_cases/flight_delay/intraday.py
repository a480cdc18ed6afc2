"""What is known during the day: the departures of the last hours, and the flights that were due and have not left.

The same functions make the history, for every quarter of an hour of a day that has ended, and what is pushed to the
online store while the day goes on: from the departures known so far, for the present instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from include.contract.authoring import Window
from include.contract.partitions import Partition

STEP = timedelta(minutes=15)
SPAN = timedelta(hours=2)
LATE_MINUTES = 15  # a departure is late when it is more than this after its scheduled time
CLIP = (-60, 240)  # minutes: one flight that waited for a day must not be the mean of a few
INSTANT = pl.Datetime("us", "UTC")

# View: its join keys. Names of features begin with the part before the underscore.
GROUPS: dict[str, tuple[str, ...]] = {"origin_now": ("origin",), "carrier_now": ("carrier", "origin")}


def views(window: Window) -> dict[str, pl.DataFrame]:
    """The intraday views: at every quarter of an hour of the partition, and at each departure and landing in it."""
    # The plan of tomorrow is in the window, but was not known before the day had ended.
    schedule = window.table("schedule", partitions=3).filter(pl.col("flight_date") <= window.partition.day)
    departures = window.table("departures", partitions=2)
    return {
        **departures_now(departures, schedule, quarters(window.partition)),
        "aircraft_now": aircraft_now(window.table("departures"), window.table("arrivals"), schedule),
    }


def quarters(partition: Partition) -> list[datetime]:
    """The quarters of an hour after the partition's start until its cut-off, which is the last of them."""
    start = partition.start.astimezone(UTC)
    return [start + STEP * number for number in range(1, (partition.cutoff - start) // STEP + 1)]


def departures_now(departures: pl.DataFrame, schedule: pl.DataFrame, at: Sequence[datetime]) -> dict[str, pl.DataFrame]:
    """Rows of ``origin_now`` and ``carrier_now``: one per key of the plan and instant, in this order.

    ``departures`` and ``schedule`` must reach ``SPAN`` back from the first instant. What they hold of later than an
    instant is not used for it: a departure counts after the moment it took place, a planned one after it was due.
    """
    instants = pl.DataFrame({"event_timestamp": at}, schema={"event_timestamp": INSTANT})
    gone = departures.select("flight_id", "carrier", "origin", "departed_at", delay=pl.col("dep_delay").clip(*CLIP))
    due = schedule.select("flight_id", "carrier", "origin", "scheduled_departure").join(
        gone.select("flight_id", "departed_at").unique("flight_id", keep="first", maintain_order=True),
        on="flight_id",
        how="left",
    )
    left, expected = _recent(gone, "departed_at", instants), _waits(_recent(due, "scheduled_departure", instants))
    return {view: _grouped(schedule, left, expected, instants, view) for view in GROUPS}


def aircraft_now(departures: pl.DataFrame, arrivals: pl.DataFrame, schedule: pl.DataFrame) -> pl.DataFrame:
    """Rows of ``aircraft_now``: one per departure and per landing of an aircraft, dated at it, in order of time.

    The margin is what remains until the aircraft's next planned departure from New York when it flies back at once.
    """
    block = pl.col("scheduled_arrival") - pl.col("scheduled_departure")
    plan = (
        schedule.filter(pl.col("tailnum").is_not_null())
        .sort("scheduled_departure", "flight_id")
        .select("flight_id", block=block, next=pl.col("scheduled_departure").shift(-1).over("tailnum"))
    )
    flight, at = ("tailnum", "flight_id"), pl.col("event_timestamp")
    left = departures.select(*flight, event_timestamp="departed_at", delay="dep_delay")
    landed = arrivals.select(*flight, event_timestamp="landed_at", delay="arr_delay")
    return (
        pl.concat([left.with_columns(aloft=True), landed.with_columns(aloft=False)])
        .filter(pl.col("tailnum").is_not_null())
        .join(plan, on="flight_id", how="left")
        .with_columns(back=at + pl.col("block") * pl.when("aloft").then(2).otherwise(1))
        .sort("event_timestamp", "flight_id")
        .select(
            "tailnum",
            aircraft_delay=pl.col("delay").cast(pl.Float64),
            aircraft_margin=(pl.col("next") - pl.col("back")).dt.total_minutes().cast(pl.Float64),
            event_timestamp=at.cast(INSTANT),
        )
    )


def _recent(flights: pl.DataFrame, column: str, instants: pl.DataFrame) -> pl.DataFrame:
    """Each instant with the flights whose ``column`` lies in the ``SPAN`` before it."""
    age = pl.col("event_timestamp") - pl.col(column)
    return instants.join(flights, how="cross").filter((age > timedelta(0)) & (age <= SPAN))


def _waits(due: pl.DataFrame) -> pl.DataFrame:
    """Adds ``left``, whether a flight has departed by the instant, and ``wait``, minutes after its scheduled time."""
    now = pl.col("event_timestamp")
    left = (pl.col("departed_at") < now).fill_null(False)
    until = pl.when(left).then(pl.col("departed_at")).otherwise(now)
    return due.with_columns(left=left, wait=(until - pl.col("scheduled_departure")).dt.total_minutes())


def _grouped(
    schedule: pl.DataFrame, left: pl.DataFrame, expected: pl.DataFrame, instants: pl.DataFrame, view: str
) -> pl.DataFrame:
    """One row per key and instant, also where nothing left or was due: older values must not be taken for these."""
    keys, name = GROUPS[view], view.removesuffix("_now")
    by = [*keys, "event_timestamp"]
    late = pl.col("delay") > LATE_MINUTES
    overdue = ~pl.col("left") & (pl.col("wait") > LATE_MINUTES)
    departed = left.group_by(by).agg(
        pl.len().cast(pl.Int64).alias(f"{name}_departures_2h"),
        pl.col("delay").mean().alias(f"{name}_departure_delay_2h"),
        late.mean().alias(f"{name}_departed_late_share_2h"),
    )
    waiting = expected.group_by(by).agg(
        pl.col("wait").clip(*CLIP).mean().alias(f"{name}_wait_2h"),
        overdue.mean().alias(f"{name}_overdue_share_2h"),
    )
    return (
        schedule.select(keys)
        .unique()
        .join(instants, how="cross")
        .join(departed, on=by, how="left")
        .join(waiting, on=by, how="left")
        .with_columns(pl.col(f"{name}_departures_2h").fill_null(0))
        .sort("event_timestamp", *keys)
    )
