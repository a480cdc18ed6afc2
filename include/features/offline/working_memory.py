"""How much memory a join works with, and in how many parts it stays below a limit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_MIB = 1024**2
_MOST_PARTS = 256
_TEXT_VIEW = 16  # bytes that polars holds of each text, beside its characters
# An allowance: sorting, hashing and joining hold keys and times several times over.
_COPIES = 4
_ROW_AND_TIME = 16


def parts_within(
    limit_mib: int, files: Iterable[Path], working: list[str], values: list[str], entities: pa.Table
) -> int:
    """In how many parts to join the files to the entity rows, which hold keys and times only.

    `working` names the keys and times of the files, `values` the columns to look up. A limit that not even
    256 parts keep is not kept: more of them would cost more memory for reading than they save.
    """
    needed: float = _COPIES * (entities.nbytes + entities.num_rows * _ROW_AND_TIME)
    for file in files:
        footer = pq.read_metadata(file)
        width = _COPIES * (_ROW_AND_TIME + _width(footer, working)) + _width(footer, values)
        needed += footer.num_rows * width
    return max(1, min(_MOST_PARTS, math.ceil(needed / limit_mib / _MIB)))


def _width(footer: pq.FileMetaData, columns: list[str]) -> float:
    """Bytes of a row in memory, by the types of the columns and, where these vary, by what is stored."""
    types = {field.name: field.type for field in footer.schema.to_arrow_schema() if field.name in columns}
    fixed: dict[str, float] = {
        name: dtype.bit_width / 8 for name, dtype in types.items() if pa.types.is_primitive(dtype)
    }
    stored: int = sum(
        chunk.total_uncompressed_size
        for group in range(footer.num_row_groups)
        for chunk in map(footer.row_group(group).column, range(footer.num_columns))
        if chunk.path_in_schema.partition(".")[0] in types.keys() - fixed.keys()
    )
    varying = len(types) - len(fixed)
    return float(sum(fixed.values()) + varying * _TEXT_VIEW + stored / max(1, footer.num_rows))
