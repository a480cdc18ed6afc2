"""What a request to a use case may hold, as JSON Schema: the key's columns and the features of the served model.

The documentation shows it; what decides is ``decoding``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from include.registry.model_input import Feature, Kind
from include.serving.decoding import Columns
from include.serving.explanations import EXPLAINED_ROWS
from include.serving.schemas import PredictRequest

Schema = dict[str, Any]

TYPES: Mapping[type, Schema] = {
    int: {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    str: {"type": "string"},
    object: {"type": ["string", "number"]},
}
FEATURES: Mapping[Kind, type] = {"numeric": float, "boolean": bool, "categorical": str}


def request_schema(features: Sequence[Feature], columns: Columns) -> Schema:
    """The body of ``POST /v1/{use_case}/predict`` for a model with these features: either entities, or rows."""
    row = {feature.name: _or_null(TYPES[FEATURES[feature.kind]]) for feature in features}
    brought = {name: _or_null(TYPES[kind]) for name, kind in columns.brought.items()}
    keys = {name: TYPES[kind] for name, kind in columns.keys.items()}
    needed = [name for name in (*brought, *keys) if name in columns.needed]
    return {
        "title": PredictRequest.__name__,
        "description": PredictRequest.__doc__,
        "oneOf": [
            _either("entities", _closed({**brought, **keys}, needed), ("as_of", "explain")),
            _either("rows", _closed(row, list(row)), ("explain",)),
        ],
    }


def _either(name: str, item: Schema, more: Sequence[str]) -> Schema:
    """An object with a list of these, and with what may come beside it; what is left out may also be null."""
    described: Mapping[str, Schema] = PredictRequest.model_json_schema()["properties"]
    listed = next(each for each in described[name]["anyOf"] if each["type"] == "array")
    properties: Schema = {other: {"type": "null"} for other in ("entities", "rows", "as_of")}
    properties |= {other: described[other] for other in more}
    properties[name] = {**listed, "items": item, "description": described[name]["description"]}
    return {
        "title": name,
        **_closed(properties, [name]),
        "if": {"properties": {"explain": {"const": True}}, "required": ["explain"]},
        "then": {"properties": {name: {"maxItems": EXPLAINED_ROWS}}},
    }


def _closed(properties: Mapping[str, Schema], required: Sequence[str]) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def _or_null(schema: Schema) -> Schema:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return {**schema, "type": [*kinds, "null"]}
