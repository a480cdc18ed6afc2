"""What was predicted in batch, with the model version and the features that it saw: one file for a partition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from include.files import replacing
from include.settings import get_settings

INSTANT = pl.Datetime("us", "UTC")
REQUIRED: dict[str, pl.DataType] = {
    "request_id": pl.String(),
    "event_timestamp": INSTANT,
    "prediction": pl.Float64(),
    "model_version": pl.Int64(),
    "run_id": pl.String(),
}


def file(use_case: str, partition_key: str) -> Path:
    """Where the predictions of a partition are. ``ValueError``: that is no key of one."""
    if not partition_key or Path(partition_key).name != partition_key:
        raise ValueError(f"{partition_key!r} is not the key of one partition")
    return get_settings().predictions / use_case / "batch" / f"{partition_key}.parquet"


def keys(use_case: str) -> list[str]:
    """The keys of the partitions that were scored."""
    return [path.stem for path in (get_settings().predictions / use_case / "batch").glob("*.parquet")]


def write(use_case: str, partition_key: str, frame: pl.DataFrame) -> Path:
    """Write a partition's predictions whole, in place of those that are there; columns as for ``write_parts``."""
    write_parts(use_case, partition_key, [frame])
    return file(use_case, partition_key)


def write_parts(use_case: str, partition_key: str, parts: Iterable[pl.DataFrame]) -> int:
    """The same from parts, of which one is in memory at a time and there is at least one; how many rows they have.

    Columns: ``request_id``, the entity's key, ``event_timestamp``, ``prediction``, ``model_version``, ``run_id``, the
    features. ``ValueError`` names a column that is missing or of another type.
    """
    rows = 0
    with ExitStack() as stack:
        writer: pq.ParquetWriter | None = None
        for part in parts:
            for name, dtype in REQUIRED.items():
                if part.schema.get(name) != dtype:
                    told = f"column {name} must be {dtype}, is {part.schema.get(name)}"
                    raise ValueError(f"{use_case} {partition_key}: {told}")
            table = part.to_arrow()
            if writer is None:
                temporary = stack.enter_context(replacing(file(use_case, partition_key)))
                writer = stack.enter_context(pq.ParquetWriter(temporary, table.schema, compression="zstd"))
            writer.write_table(table.cast(writer.schema))
            rows += part.height
        if writer is None:
            raise ValueError(f"{use_case} {partition_key}: there is no part to write")
    return rows


def read(use_case: str, partition_keys: Sequence[str]) -> pl.DataFrame:
    """The predictions of these partitions; one that was not scored is absent.

    Versions of a model may have different features: a column that a partition lacks is null there.
    """
    paths = [file(use_case, key) for key in partition_keys]
    frames = [pl.read_parquet(path) for path in paths if path.is_file()]
    return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame(schema=REQUIRED)
