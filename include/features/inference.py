"""Two defects of Feast, mended, by which it refuses on-demand views whose fields have a description or tags.

Feast runs the view's function on made-up values and looks for each declared field among those that come back, comparing
also description and tags, which no result has. And it reads the fields back from the registry without them, so that a
service's fields are not found among the view's. Here only names and types are compared.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any


def compare_without_descriptions(view: Any) -> None:
    """Make Feast's check of an on-demand view look at names and types; a second time changes nothing."""
    view.infer_features = partial(_infer, view)


def leave_out_descriptions(service: Any, views: Collection[str]) -> None:
    """Have a service name the fields of these on-demand views as the registry gives them back."""
    from feast import Field

    for projection in service.feature_view_projections:
        if projection.name in views:
            projection.features = [Field(name=field.name, dtype=field.dtype) for field in projection.features]


def _infer(view: Any) -> None:
    from feast import Field

    described = view.features
    view.features = [Field(name=field.name, dtype=field.dtype) for field in described]
    try:
        type(view).infer_features(view)
    finally:
        view.features = described
