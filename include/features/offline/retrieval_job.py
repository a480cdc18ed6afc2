"""The result of a retrieval: read when it is asked for, exact in Arrow and in pandas."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.saved_dataset import SavedDatasetStorage, ValidationReference
from feast.utils import _parse_feature_ref

from include.features.offline import parquet_source

NULLABLE = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


class PolarsRetrievalJob(RetrievalJob):  # type: ignore[misc]
    """A retrieval that reads its sources each time its result is asked for.

    Arrow results keep the types of the source. In pandas, integer and boolean features are nullable
    (Int64, boolean): one missing row would otherwise turn 2**53 + 1 into a float.
    """

    def __init__(
        self,
        evaluate: Callable[[], pa.Table],
        repo_path: Path | None,
        full_feature_names: bool = False,
        on_demand_feature_views: list[OnDemandFeatureView] | None = None,
        metadata: RetrievalMetadata | None = None,
    ) -> None:
        self._evaluate = evaluate
        self._repo_path = repo_path
        self._full_feature_names = full_feature_names
        self._on_demand_feature_views = on_demand_feature_views or []
        self._metadata = metadata

    @property
    def full_feature_names(self) -> bool:
        """Whether the column of a feature is called <view>__<feature>."""
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """The on-demand views that are computed from the result."""
        refs = self._metadata.features if self._metadata else []
        return [_without_others(view, refs) for view in self._on_demand_feature_views]

    @property
    def metadata(self) -> RetrievalMetadata | None:
        """Feature references, keys and time range of the entity frame; None for rows pulled from a source."""
        return self._metadata

    def to_df(
        self, validation_reference: ValidationReference | None = None, timeout: int | None = None
    ) -> pd.DataFrame:
        """The result as a pandas frame; also the columns that Feast added on demand are nullable."""
        table = self.to_arrow(validation_reference=validation_reference, timeout=timeout)
        typed = {column["name"] for column in (table.schema.pandas_metadata or {}).get("columns", [])}
        added = [name for name in table.column_names if name not in typed]
        frame: pd.DataFrame = with_nullable_types(table, added).to_pandas()
        return frame

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:  # noqa: ARG002
        return self._evaluate()

    def persist(self, storage: SavedDatasetStorage, allow_overwrite: bool = False, timeout: int | None = None) -> None:
        """Write the result to a SavedDatasetFileStorage: a file for a path in .parquet, else a directory.

        Raises SavedDatasetLocationAlreadyExists if something is there, unless `allow_overwrite`.
        """
        if not isinstance(storage, SavedDatasetFileStorage):
            raise TypeError(f"a dataset is saved to a SavedDatasetFileStorage, not {type(storage).__name__}")
        path = parquet_source.local_path(storage.file_options.uri, self._repo_path)
        if path.exists() and not allow_overwrite:
            raise SavedDatasetLocationAlreadyExists(location=str(path))
        table = self.to_arrow(timeout=timeout)
        if path.suffix == ".parquet":
            parquet_source.write_atomically(table, path)
        else:
            parquet_source.write_directory(table, path)

    def to_sql(self) -> str:
        """Refused: the result is joined in polars."""
        raise NotImplementedError("no SQL stands behind a point-in-time join in polars: use to_arrow or to_df")

    def to_remote_storage(self) -> list[str]:
        """Refused: everything lies on a local disk."""
        raise NotImplementedError("nothing is exported to remote storage: use persist with a SavedDatasetFileStorage")


def _without_others(view: OnDemandFeatureView, refs: list[str]) -> OnDemandFeatureView:
    """The view, given no features of views that it does not read: Feast would turn all columns into Python objects."""
    declared = {projection.name for projection in view.source_feature_view_projections.values()}
    parsed = [_parse_feature_ref(ref) for ref in refs]
    others = {(name, feature) for name, _, feature in parsed if name not in declared}
    left_out = {column for name, feature in others for column in (feature, f"{name}__{feature}")}
    narrow = copy.copy(view)

    def transform(table: pa.Table, full_feature_names: bool = False) -> pa.Table:
        kept = [column for column in table.column_names if column not in left_out]
        return view.transform_arrow(table.select(kept), full_feature_names)

    narrow.transform_arrow = transform
    return narrow


def with_nullable_types(table: pa.Table, columns: list[str]) -> pa.Table:
    """Have pandas read integer and boolean columns as nullable types, also inside Feast."""
    example = table.schema.empty_table().to_pandas()
    for name in columns:
        nullable = NULLABLE.get(table.schema.field(name).type)
        if nullable is not None:
            example[name] = pd.Series(dtype=nullable)
    return table.replace_schema_metadata(pa.Schema.from_pandas(example, preserve_index=False).metadata)
