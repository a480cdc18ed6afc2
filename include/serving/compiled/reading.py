"""From values as they come from JSON or a store to the numbers that the compiled columns start from.

The same values are taken and refused as by ``registry.model_input``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from include.registry.model_input import is_missing
from include.serving.compiled.columns import Matrix, Reader

Value = float | str | bool | None

Packer = Callable[[Sequence[Value]], bytes]


def read_rows(packed: Packer, rows: Sequence[Sequence[Value]]) -> Matrix:
    """The numbers of rows, of which there is one: (rows, features). ``ValueError`` as of ``packer``."""
    return np.frombuffer(bytearray().join(map(packed, rows))).reshape(len(rows), -1)


def read_columns(readers: Sequence[Reader], columns: Sequence[NDArray[Any] | Sequence[Value]]) -> Matrix:
    """The same from one array or sequence a feature, all of one length."""
    found = np.empty((len(columns[0]) if len(columns) else 0, len(readers)))
    for at, (reader, column) in enumerate(zip(readers, columns, strict=True)):
        found[:, at] = _numbers(reader, column) if reader.codes is None else _codes(reader, column)
    return found


def packer(readers: Sequence[Reader]) -> Packer:
    """What reads a row into its numbers, packed as doubles.

    It raises ``ValueError`` with the name of a feature whose value its reader does not take.
    """
    pack, nan = struct.Struct(f"{len(readers)}d").pack, math.nan
    texts = [(at, each.codes, each.unknown) for at, each in enumerate(readers) if each.codes is not None]

    def packed(row: Sequence[Value]) -> bytes:
        numbers: list[Any] = [nan if value is None else value for value in row]
        try:
            for at, codes, unknown in texts:
                value = row[at]
                if value is not None and type(value) is not str:
                    return pack(*_read_row(readers, row))
                numbers[at] = codes.get(value, unknown)
            return pack(*numbers)
        except (struct.error, TypeError, OverflowError, IndexError):
            return pack(*_read_row(readers, row))  # takes what is rare, and says what is wrong with the rest

    return packed


def _read_row(readers: Sequence[Reader], row: Sequence[Value]) -> list[float]:
    numbers: list[float] = []
    add = numbers.append
    for reader, value in zip(readers, row, strict=True):
        codes = reader.codes
        if codes is None:
            add(value if type(value) is float else _number(reader, value))
        else:
            code = codes.get(value) if value is None or type(value) is str else None
            add(_code(reader, value) if code is None else code)
    return numbers


def _numbers(reader: Reader, column: NDArray[Any] | Sequence[Value]) -> NDArray[Any] | list[float]:
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
        return column
    if {float, type(None)}.issuperset(map(type, column)):
        return np.array(column, dtype=np.float64)
    return [_number(reader, value) for value in column]


def _codes(reader: Reader, column: NDArray[Any] | Sequence[Value]) -> list[float]:
    codes = reader.codes or {}
    found = [codes.get(value) if value is None or type(value) is str else None for value in column]
    return [_code(reader, value) if code is None else code for value, code in zip(column, found, strict=True)]


def _number(reader: Reader, value: Any) -> float:
    if isinstance(value, bool | int | float | np.number | np.bool_ | Decimal):
        try:
            return float(value)
        except OverflowError as error:
            raise ValueError(f"feature {reader.name}: {error}") from error
    if is_missing(value):
        return math.nan
    raise ValueError(f"feature {reader.name}: expected a number, got {value!r}")


def _code(reader: Reader, value: Any) -> float:
    codes = reader.codes or {}
    if isinstance(value, str):
        code = codes.get(str(value), reader.unknown)
    elif is_missing(value):
        code = codes.get(None)
    else:
        raise ValueError(f"feature {reader.name}: expected text, got {value!r}")
    if code is None:
        shown = repr(str(value)) if isinstance(value, str) else "a missing value"
        raise ValueError(f"feature {reader.name}: {shown}, which {reader.who} does not take")
    return code
