"""Parts the accepted rows of a landed table from the refused ones, and puts them together again.

``quarantine/<table>.parquet`` has the refused rows whole, with their position in the landed table, the expectations
that they fail and the values that failed. With the accepted rows it is the landed table, row for row.
"""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

FOLDER = "quarantine"
ROW = "landed_row"  # the position of a row in its landed file, counted from 0
REASON = "quarantine_reason"
VALUE = "quarantine_value"


def part(landed: Path, rejected: pl.DataFrame | None, folder: Path) -> dict[str, int]:
    """Write the accepted rows of a landed file into ``folder`` and the refused ones into its quarantine.

    Returns the numbers of rows ``landed``, ``accepted`` and ``quarantined``; ``AssertionError`` where any is lost.
    """
    accepted = folder / landed.name
    if rejected is None or rejected.is_empty():
        os.link(landed, accepted)
        quarantined = 0
    else:
        (folder / FOLDER).mkdir(exist_ok=True)
        numbered = pl.scan_parquet(landed, row_index_name=ROW).with_columns(pl.col(ROW).cast(pl.Int64))
        refused = rejected.lazy()
        numbered.join(refused, on=ROW, how="anti", maintain_order="left").drop(ROW).sink_parquet(accepted)
        put_aside = numbered.join(refused, on=ROW, maintain_order="left").collect(engine="streaming")
        put_aside.write_parquet(folder / FOLDER / landed.name)
        quarantined = put_aside.height
    counts = {"landed": rows(landed), "accepted": rows(accepted), "quarantined": quarantined}
    if counts["landed"] != counts["accepted"] + counts["quarantined"]:
        raise AssertionError(f"{landed}: rows were lost between landing and quarantine: {counts}")
    return counts


def restore(accepted: Path, quarantined: Path | None, landed: Path) -> None:
    """Write the table as it landed, from its accepted and its refused rows."""
    if quarantined is None:
        os.link(accepted, landed)
        return
    refused = pl.scan_parquet(quarantined).drop(REASON, VALUE)
    taken = refused.select(ROW).collect().to_series()
    total = rows(accepted) + taken.len()
    free = pl.select(pl.int_range(total, dtype=pl.Int64).alias(ROW)).filter(~pl.col(ROW).is_in(taken.implode()))
    kept = pl.concat([free.lazy(), pl.scan_parquet(accepted)], how="horizontal")
    columns = pl.scan_parquet(accepted).collect_schema().names()
    pl.concat([kept.select(ROW, *columns), refused.select(ROW, *columns)]).sort(ROW).drop(ROW).sink_parquet(landed)


def rows(path: Path) -> int:
    return int(pl.scan_parquet(path).select(pl.len()).collect().item())
