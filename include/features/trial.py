"""Tries ``engine.split`` on a partition that fits into memory: ``python -m include.features.trial USE_CASE PARTITION``.

The partition is computed as a whole and part by part, both in this process: no cluster is needed, and the offline
store is not touched. A view that was declared by the wrong columns has other rows part by part.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from include.contract.engine import LABELS
from include.contract.loading import Folder, load_use_case
from include.contract.partitions import Partition
from include.features import store
from include.features.compute import labelled, stamped
from include.features.describe import describe
from include.features.parted import Parted, scratch, together
from include.features.raw_tables import RawTables
from include.features.split import outputs
from include.features.store import EVENT_TIMESTAMP
from include.features.window import History
from include.ingestion import versions

ROUNDING = 1e-9  # of a value


@dataclass(frozen=True)
class Comparison:
    """What a view is part by part, against the whole; ``columns`` that differ in any row, beyond rounding."""

    view: str
    rows: int
    whole: int
    columns: tuple[str, ...]

    @property
    def equal(self) -> bool:
        return self.rows == self.whole and not self.columns

    def __str__(self) -> str:
        if self.equal:
            return f"{self.view}: the same {self.rows} rows"
        if self.rows != self.whole:
            return f"{self.view}: {self.rows} rows part by part, {self.whole} as a whole: other columns in engine.split"
        return f"{self.view}: differs in {', '.join(self.columns)}: these need other columns in engine.split"


def trial(use_case: Folder, partition: Partition, revision: str) -> list[Comparison]:
    """A comparison of each view and of the labels; ``SplitError`` where the declarations are refused at once."""
    config = use_case.config
    defined = describe(config.name, store.definitions(use_case))
    history = History(config.name, config.calendar, revision, [partition], past=config.history - 1)
    window = history.window(partition)
    whole = {name: stamped(frame, partition) for name, frame in use_case.features.views(window).items()}
    whole[LABELS] = labelled(use_case, use_case.features.labels(window), partition)
    tables = RawTables(history)
    wanted = outputs(use_case, defined, tables.columns)
    keys = {output.view: [*output.keys, EVENT_TIMESTAMP] for output in wanted}
    with scratch() as folder:
        parted = Parted(use_case, tables, wanted, folder, lambda function, tasks: [function(task) for task in tasks])
        return [
            compare(view, together(files).collect(), whole[view], keys[view])
            for view, (files, _) in parted.compute(partition).items()
        ]


def compare(view: str, rows: pl.DataFrame, whole: pl.DataFrame, keys: Sequence[str]) -> Comparison:
    """Row for row, by ``keys``; rows of the same key in the order in which they are."""
    left, right = (frame.sort(keys, maintain_order=True) for frame in (rows, whole))
    if left.height != right.height:
        return Comparison(view, left.height, right.height, ())
    names = dict.fromkeys([*left.columns, *right.columns])
    return Comparison(view, left.height, right.height, tuple(name for name in names if _differs(left, right, name)))


def _differs(left: pl.DataFrame, right: pl.DataFrame, name: str) -> bool:
    if left.schema.get(name) != right.schema.get(name):
        return True
    if left[name].equals(right[name], null_equal=True):
        return False
    if not left.schema[name].is_float():
        return True
    # The order in which the library adds the values of a group depends on what else is in the frame.
    both = pl.select(a=left[name], b=right[name])
    bound = ROUNDING * pl.max_horizontal(pl.col("a").abs(), pl.col("b").abs())
    near = pl.col("a").eq_missing(pl.col("b")) | ((pl.col("a") - pl.col("b")).abs() <= bound)
    return not both.select(near.fill_null(False).all()).item()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m include.features.trial", description="Tries engine.split.")
    parser.add_argument("use_case")
    parser.add_argument("partition")
    options = parser.parse_args()
    use_case = load_use_case(options.use_case)
    found = trial(use_case, use_case.config.calendar.partition(options.partition), versions.head())
    sys.stdout.writelines(f"{each}\n" for each in found)
    return 0 if all(each.equal for each in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
