"""Which column of a source stands for a name that a feature view uses."""

from __future__ import annotations

from feast.data_source import DataSource
from feast.feature_view import DUMMY_ENTITY_ID, FeatureView


def source_column(source: DataSource, name: str) -> str:
    """The source's own column for a name of the view: field_mapping read backwards."""
    mapped = {ours: theirs for theirs, ours in (source.field_mapping or {}).items()}
    return str(mapped.get(name, name))


def join_keys(view: FeatureView) -> tuple[tuple[str, str], ...]:
    """Pairs of an entity column and the source's column that it must equal; none for a view without entities.

    Raises ValueError for a view that has no batch source.
    """
    source, aliases = view.batch_source, view.projection.join_key_map
    if source is None:
        raise ValueError(f"feature view {view.name}: it has no batch source to read")
    keys = [column.name for column in view.entity_columns if column.name != DUMMY_ENTITY_ID]
    return tuple((aliases.get(key, key), source_column(source, key)) for key in keys)
