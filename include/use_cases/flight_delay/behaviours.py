"""What must hold of any model of the flights, whatever it has learned.

Each bound leaves room beyond what models of six weeks, two, five and nine months did on the fortnight after.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import polars as pl

from include.contract.behaviours import Behaviour, Direction, Example, Invariance

SIX, NINE, EVENING = 6 * 60, 9 * 60, 19 * 60  # minutes after midnight
DAY = 24 * 60
ORIGINS = ("EWR", "JFK", "LGA")


def behaviours(rows: pl.DataFrame) -> Sequence[Behaviour]:
    """The behaviour tests of a model that reads these columns."""
    punctual = _flights(rows, departure=SIX, leg=1, late_rate=0.05, delay=-8.0)
    delayed = _flights(rows, departure=EVENING, leg=4, late_rate=0.5, delay=40.0)
    return [
        Direction("landings were later", _later, "up", share=0.8),
        Direction("landings of the line were later", partial(_later, of="line_"), "up", share=0.8),
        Direction("half an hour to turn around", _tight, "up", share=0.9),
        Direction("departure at six in the morning", _morning, "down", share=0.8),
        Invariance("destination never seen", _unseen_destination, tolerance=0.2, share=0.95),
        Invariance("aircraft never seen", _unseen_aircraft, tolerance=0.1, share=0.95),
        Invariance("two degrees more at midnight", _warmer, tolerance=0.1, share=0.95),
        Example("first leg at six after punctual weeks", punctual, high=0.25),
        Example("fourth leg in the evening after weeks of delays", delayed, low=0.45),
    ]


def _rates(rows: pl.DataFrame, of: str = "") -> list[str]:
    return [name for name in rows.columns if name.startswith(of) and "_late_rate_" in name]


def _delays(rows: pl.DataFrame, of: str = "") -> list[str]:
    kinds = ("_mean_delay_", "_last_delay")
    return [name for name in rows.columns if name.startswith(of) and any(kind in name for kind in kinds)]


def _later(rows: pl.DataFrame, of: str = "") -> pl.DataFrame:
    """Delays half an hour longer, and of ten landings three more late."""
    return rows.with_columns((pl.col(_rates(rows, of)) + 0.3).clip(0, 1), pl.col(_delays(rows, of)) + 30)


def _tight(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(aircraft_leg=pl.lit(3, pl.Int64), since_previous_arrival=pl.lit(30, pl.Int64))


def _morning(rows: pl.DataFrame) -> pl.DataFrame:
    """Flights that leave after nine leave at six, and land as much earlier."""
    departure, arrival = pl.col("departure_minute"), pl.col("arrival_minute")
    later = departure > NINE
    return rows.with_columns(
        departure_minute=pl.when(later).then(SIX).otherwise(departure),
        arrival_minute=pl.when(later).then((arrival - departure + SIX) % DAY).otherwise(arrival),
    )


def _unknown(rows: pl.DataFrame, *of: str) -> pl.DataFrame:
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in rows.schema.items() if name.startswith(of)]
    return rows.with_columns(missing)


def _unseen_destination(rows: pl.DataFrame) -> pl.DataFrame:
    return _unknown(rows, "dest_").with_columns(destination=pl.lit("ZZZ"))


def _unseen_aircraft(rows: pl.DataFrame) -> pl.DataFrame:
    return _unknown(rows, "tail_", "plane_")


def _warmer(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col("weather_temp") + 2)


def _flights(rows: pl.DataFrame, *, departure: int, leg: int, late_rate: float, delay: float) -> list[dict[str, Any]]:
    """A flight of 1,000 miles from each airport; its airline, airports, line and aircraft have the same history."""
    plan = {
        "distance": 1000,
        "block_minutes": 170,
        "departure_minute": departure,
        "arrival_minute": departure + 170,
        "aircraft_leg": leg,
        "since_previous_arrival": 40 if leg > 1 else None,
    }
    history = dict.fromkeys(_rates(rows), late_rate) | dict.fromkeys(_delays(rows), delay)
    return [{"origin_airport": origin} | plan | history for origin in ORIGINS]
