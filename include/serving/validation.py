"""Checks the rows and keys of a request; what is wrong is named by its field."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from include.packaging.runtime.inputs import fits
from include.registry.model_input import Feature, Kind
from include.serving.problems import Problem

Errors = list[tuple[str, str]]

EXPECTED: dict[Kind, str] = {
    "numeric": "a finite number or null",
    "boolean": "true, false or null",
    "categorical": "text or null",
}

WORDS = {int: "a whole number", str: "text", float: "a number", bool: "true or false", object: "text or a number"}


def check_rows(rows: Sequence[Mapping[str, Any]], features: Sequence[Feature]) -> None:
    """Each row has every feature of the model, of its kind, and nothing else."""
    kinds = {feature.name: feature.kind for feature in features}
    errors: Errors = []
    for position, row in enumerate(rows):
        where = f"rows[{position}]"
        errors += _names(where, row, kinds, kinds, "feature")
        for name in [name for name in row if name in kinds]:
            if not fits(row[name], kinds[name]):
                errors.append((f"{where}.{name}", f"expected {EXPECTED[kinds[name]]}, got {_shown(row[name])}"))
    _refuse("Invalid rows", errors)


def check_entities(
    entities: Sequence[Mapping[str, Any]],
    key_types: Mapping[str, type],
    request_types: Mapping[str, type],
    needed: Collection[str],
) -> None:
    """Each entity has the key, perhaps values that come with the request, of their types, and nothing else."""
    types = {**request_types, **key_types}
    errors: Errors = []
    for position, entity in enumerate(entities):
        where = f"entities[{position}]"
        errors += _names(where, entity, types, needed, "key column" if not request_types else "column")
        for name in [name for name in entity if name in types]:
            expected, value = types[name], entity[name]
            if not _is(value, expected) and not (value is None and name in request_types):
                errors.append((f"{where}.{name}", f"expected {WORDS[expected]}, got {_shown(value)}"))
    _refuse("Invalid entities", errors)


def _is(value: Any, expected: type) -> bool:
    if expected is bool or isinstance(value, bool):
        return isinstance(value, bool) and expected is bool
    if expected is int:
        return is_whole(value)
    if expected is object:
        return isinstance(value, str | int | float)
    if expected is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, expected)


def is_whole(value: Any) -> bool:
    """Whether it is a whole number of 64 bits; 1.0 is, as far as a float is exact."""
    if isinstance(value, float):
        return value.is_integer() and abs(value) <= 2**53
    return isinstance(value, int) and -(2**63) <= value < 2**63


def _refuse(title: str, errors: Errors) -> None:
    if errors:
        raise Problem.of_fields(
            title, sorted(errors, key=lambda error: error[0].partition("[")[2].partition("]")[0].zfill(9))
        )


def _names(where: str, row: Mapping[str, Any], known: Mapping[str, Any], needed: Collection[str], what: str) -> Errors:
    missing = [(f"{where}.{name}", f"missing {what}") for name in known if name in needed and name not in row]
    return missing + [
        (f"{where}.{name}", f"unknown {what}; expected {', '.join(known)}") for name in row if name not in known
    ]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
