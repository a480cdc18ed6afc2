"""From rows as a caller has them to one column a feature; what is wrong is named by its field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["numeric", "boolean", "categorical"]
Column = NDArray[np.float64] | list[str | None]
Rows = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any] | NDArray[Any]] | NDArray[Any]
Errors = list[tuple[str, str]]

EXPECTED: dict[Kind, str] = {
    "numeric": "a finite number or None",
    "boolean": "True, False or None",
    "categorical": "text or None",
}
SHOWN = 5  # errors in the message


@dataclass(frozen=True)
class Feature:
    """A column that the model needs; None and NaN are missing values of each kind."""

    name: str
    kind: Kind


class InputError(ValueError):
    """Rows that the model does not take. ``errors`` are pairs of a field, ``rows[3].distance``, and what is wrong."""

    def __init__(self, errors: Errors) -> None:
        self.errors = tuple(errors)
        more = f"; and {len(errors) - SHOWN} more" if len(errors) > SHOWN else ""
        super().__init__("; ".join(f"{field}: {what}" for field, what in errors[:SHOWN]) + more)


def read(rows: Rows, features: Sequence[Feature]) -> list[Column]:
    """The columns of the features in their order: numbers with NaN, or texts with None. Raises ``InputError``."""
    given = _given(rows, [feature.name for feature in features])
    errors: Errors = []
    columns = [_column(feature, given[feature.name], errors) for feature in features]
    if errors:
        raise InputError(sorted(errors, key=lambda error: int(error[0].partition("[")[2].partition("]")[0])))
    return columns


def _given(rows: Rows, names: Sequence[str]) -> dict[str, Sequence[Any] | NDArray[Any]]:
    """The values of each feature; ``InputError`` where one is missing or another is there."""
    if isinstance(rows, np.ndarray):
        if rows.dtype.names is None or rows.ndim != 1:
            raise InputError([("rows", f"expected a structured array of one dimension, got {_described(rows)}")])
        return _columns({name: rows[name] for name in rows.dtype.names}, names)
    if isinstance(rows, Mapping):
        return _columns(rows, names)
    if isinstance(rows, str | bytes) or not isinstance(rows, Sequence):
        raise InputError([("rows", f"expected rows or columns of features, got {_shown(rows)}")])
    known, errors = set(names), []
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            errors.append((f"rows[{number}]", f"expected a mapping of features, got {_shown(row)}"))
        elif row.keys() != known:
            errors += [(f"rows[{number}].{name}", what) for name, what in _names(row, names)]
    if errors:
        raise InputError(errors)
    return {name: [row[name] for row in rows] for name in names}


def _columns(columns: Mapping[str, Any], names: Sequence[str]) -> dict[str, Sequence[Any] | NDArray[Any]]:
    errors = list(_names(columns, names))
    if errors:
        raise InputError(errors)
    found = {name: columns[name] if isinstance(columns[name], np.ndarray) else _listed(columns, name) for name in names}
    for name, column in found.items():
        if isinstance(column, np.ndarray) and column.ndim != 1:
            errors.append((name, f"expected one dimension, got {column.ndim}"))
    lengths = {len(column) for column in found.values()} if not errors else set()
    if len(lengths) > 1:
        first = len(found[names[0]])
        errors = [(n, f"{len(c):,} values, {names[0]} has {first:,}") for n, c in found.items() if len(c) != first]
    if errors:
        raise InputError(errors)
    return found


def _listed(columns: Mapping[str, Any], name: str) -> list[Any]:
    column = columns[name]
    if isinstance(column, str | bytes | Mapping) or not hasattr(column, "__iter__"):
        raise InputError([(name, f"expected a column of values, got {_shown(column)}")])
    return list(column)


def _names(given: Mapping[str, Any], names: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield from ((name, "missing feature") for name in names if name not in given)
    yield from (
        (str(name), f"unknown feature; expected {', '.join(names)}") for name in given if name not in set(names)
    )


def _column(feature: Feature, values: Sequence[Any] | NDArray[Any], errors: Errors) -> Column:
    if isinstance(values, np.ndarray):
        if feature.kind == "boolean" and values.dtype.kind == "b":
            return values.astype(np.float64)
        if feature.kind == "numeric" and values.dtype.kind in "fiu":
            numbers = values.astype(np.float64)
            _report(feature, values, np.flatnonzero(np.isinf(numbers)), errors)
            return numbers
    plain = [_plain(value) for value in values]
    _report(feature, plain, [row for row, value in enumerate(plain) if not fits(value, feature.kind)], errors)
    if errors:
        return []
    if feature.kind == "categorical":
        return [None if value is None else str(value) for value in plain]
    return np.array([math.nan if value is None else float(value) for value in plain], dtype=np.float64)


def _report(feature: Feature, values: Any, wrong: Any, errors: Errors) -> None:
    expected = EXPECTED[feature.kind]
    errors += [
        (f"rows[{row}].{feature.name}", f"expected {expected}, got {_shown(_plain(values[row]))}") for row in wrong
    ]


def _plain(value: Any) -> Any:
    """A value as Python has it, None where it is missing."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value


def fits(value: Any, kind: Kind) -> bool:
    """Whether a model takes the value as a feature of this kind."""
    if value is None:
        return True
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "categorical":
        return isinstance(value, str)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _described(rows: NDArray[Any]) -> str:
    return f"one of {rows.dtype} with {rows.ndim} dimensions"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
