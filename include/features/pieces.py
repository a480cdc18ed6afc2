"""Rows parted by the values of some columns: files from which one part is read without the others.

Rows with the same values are in the same part, whichever file they are in, and stay in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from pathlib import Path

import polars as pl

from include.files import replacing

PART = "__part"
SMALLEST_GROUP = 4096  # rows; smaller row groups cost more than reading some in vain


def write(frame: pl.DataFrame, types: Mapping[str, pl.DataType], parts: int, path: Path) -> None:
    """Write a frame parted by the columns of ``types``, taken as of these types.

    A column that the frame lacks is null in all its rows. Null is a value like others.
    """
    keys = [
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(kind).alias(name) for name, kind in types.items()
    ]
    part = pl.struct(keys).hash() % parts if keys else pl.lit(0)
    ordered = frame.with_columns(part.cast(pl.UInt32).alias(PART)).sort(PART, maintain_order=True)
    with replacing(path) as temporary:
        ordered.write_parquet(temporary, row_group_size=max(SMALLEST_GROUP, ceil(frame.height / parts)))


def read(paths: Sequence[Path], part: int) -> pl.DataFrame:
    """One part of the rows of these files, in their order; of other parts little but the statistics is read."""
    parts = [pl.scan_parquet(path).filter(pl.col(PART) == part).drop(PART) for path in paths]
    return pl.concat(parts, how="vertical_relaxed").collect()


def common_types(schemas: Iterable[Mapping[str, pl.DataType]], columns: Iterable[str]) -> dict[str, pl.DataType]:
    """The type as which a column's values are compared, where its type is not the same everywhere.

    ``pl.exceptions.SchemaError`` where types differ that are not all numbers.
    """
    known = list(schemas)
    found = {}
    for column in columns:
        kinds = {_plain(schema[column]) for schema in known if column in schema}
        if len(kinds) > 1 and not all(kind.is_numeric() for kind in kinds):
            raise pl.exceptions.SchemaError(f"{column} is {' and '.join(sorted(map(str, kinds)))}")
        frames = [pl.DataFrame(schema={column: kind}) for kind in kinds]
        found[column] = pl.concat(frames, how="vertical_relaxed").schema[column]
    return found


def _plain(kind: pl.DataType) -> pl.DataType:
    """Codes of categories differ from file to file."""
    return pl.String() if isinstance(kind, pl.Categorical | pl.Enum) else kind
