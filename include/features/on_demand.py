"""On-demand features: computed at the moment of the request from stored features and from what the request brings.

History and serving run the same function: the offline store through Feast's retrieval, the online side through here.
What a request brings is, in history, a column of the entity's view of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore
    from feast.on_demand_feature_view import OnDemandFeatureView

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class OnDemand:
    """The on-demand views of a feature service, in the order of the service."""

    views: tuple[OnDemandFeatureView, ...]

    @classmethod
    def of(cls, feature_store: FeatureStore, service: FeatureService) -> OnDemand:
        known = {view.name: view for view in feature_store.list_on_demand_feature_views()}
        asked = [projection.name for projection in service.feature_view_projections]
        views = tuple(known[name] for name in asked if name in known)
        for view in views:
            if view.singleton:
                # Feast gives such a function whole columns of history, and of several entities only the first.
                raise ValueError(f"on-demand feature view {view.name}: singleton=True is not supported, take columns")
        return cls(views)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The stored views that these views read."""
        return tuple({each.name: None for view in self.views for each in view.source_feature_view_projections.values()})

    @cached_property
    def request_fields(self) -> dict[str, Any]:
        """What a request brings beside the key: the field's name and its Feast value type."""
        return {name: kind for view in self.views for name, kind in view.get_request_data_schema().items()}

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """What ``compute`` needs: stored features, keys and request values."""
        return tuple(dict.fromkeys(name for _, names, _ in self._plans for name in names))

    def compute(self, columns: Mapping[str, Sequence[Any]]) -> Columns:
        """The features of these views from the columns of stored features, keys and request values.

        All columns have a value for each row, None where it is missing.
        """
        computed: Columns = {}
        for view, names, full in self._plans:
            inputs = {name: list(columns[name]) for name in names}
            found = _transform(view, inputs, full)
            computed |= {feature.name: found[feature.name] for feature in view.features}
        return computed

    @cached_property
    def _plans(self) -> tuple[tuple[OnDemandFeatureView, tuple[str, ...], dict[str, str]], ...]:
        """The views with the columns that they read, and Feast's longer names of those that are stored."""
        plans = []
        for view in self.views:
            projections = view.source_feature_view_projections.values()
            full = {f"{each.name}__{feature.name}": feature.name for each in projections for feature in each.features}
            plans.append((view, tuple(dict.fromkeys([*full.values(), *view.get_request_data_schema()])), full))
        return tuple(plans)


def _transform(view: OnDemandFeatureView, inputs: Columns, full: Mapping[str, str]) -> Columns:
    if view.mode != "python":
        import pandas as pd
        import pyarrow as pa

        table = view.transform_arrow(pa.Table.from_pandas(pd.DataFrame(inputs), preserve_index=False))
        return dict(table.to_pydict())
    # What transform_dict does, without its checks of every type at every call, which cost more than a whole look-up.
    found = view.feature_transformation.udf({**inputs, **{name: inputs[short] for name, short in full.items()}})
    return dict(found)
