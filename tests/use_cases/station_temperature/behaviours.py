"""What must hold of any model of tomorrow's temperature."""

from collections.abc import Sequence

import polars as pl

from include.contract.behaviours import Behaviour, Direction, Example, Invariance


def behaviours(rows: pl.DataFrame) -> Sequence[Behaviour]:
    return [
        Direction("five degrees warmer now", _warmer, "up"),
        Invariance("a season never seen", lambda rows: rows.with_columns(season=pl.lit("monsoon")), tolerance=15),
        Example("nothing is hotter than a desert", rows.head(10), low=-60, high=130),
    ]


def _warmer(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col("temp") + 5, pl.col("dewp") + 5)
