"""Saved datasets, rows added to a source, and the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureService
from feast.dqm.errors import ValidationFailed
from feast.dqm.profilers.profiler import Profile, ValidationReport
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.feature_logging import LoggingConfig, LoggingDestination
from feast.infra.offline_stores.file_source import FileLoggingDestination, SavedDatasetFileStorage
from feast.saved_dataset import ValidationReference
from pydantic import ValidationError

from include.features.offline.store import PolarsOfflineStore, PolarsOfflineStoreConfig
from tests.features.offline_feature_store import (
    BIG,
    Make,
    at,
    rows,
    values,
    view,
)


class TestWriting:
    """Saved datasets and rows added to a source."""

    @pytest.mark.parametrize("target", ["saved.parquet", "saved"])
    def test_a_dataset_is_saved_read_back_and_replaced_only_when_allowed(
        self, make: Make, tmp_path: Path, target: str
    ) -> None:
        store = make(view(rows(("AA", at(1), BIG)), tmp_path))
        entities = rows(("AA", at(2)), ("UA", at(2)), names="carrier event_timestamp")
        storage = SavedDatasetFileStorage(path=target)

        def save(times: int, *, allow: bool = False) -> list[Any]:
            job = store.get_historical_features(pd.concat([entities] * times), ["daily:value"])
            with pytest.warns(RuntimeWarning):
                saved = store.create_saved_dataset(job, f"train-{times}", storage, allow_overwrite=allow)
            return list(saved.to_arrow()["value"].to_pylist())

        assert save(1) == [BIG, None]
        with pytest.raises(SavedDatasetLocationAlreadyExists):
            save(2)
        assert save(2, allow=True) == [BIG, None] * 2
        assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []

    def test_rows_written_to_a_folder_are_added_once(self, make: Make, tmp_path: Path) -> None:
        frame = rows(("AA", at(1), 1))
        store = make(view(frame, tmp_path))
        for _ in range(2):
            store.write_to_offline_store("daily", rows(("AA", at(2), 2)))
        assert values(store, ("AA", at(1)), ("AA", at(2))) == [1, 2]
        assert len(list((tmp_path / "daily").iterdir())) == 2

    def test_rows_written_to_a_file_are_added_to_it(self, make: Make, tmp_path: Path) -> None:
        daily = view(None, tmp_path)
        daily.batch_source.file_options.uri = "one.parquet"
        rows(("AA", at(1), 1)).to_parquet(tmp_path / "one.parquet")
        store = make(daily)
        store.write_to_offline_store("daily", rows(("AA", at(2), 2)))
        assert values(store, ("AA", at(1)), ("AA", at(2))) == [1, 2]

    def test_the_first_rows_make_the_folder_and_other_columns_are_refused(self, make: Make, tmp_path: Path) -> None:
        daily = view(None, tmp_path)
        store = make(daily)
        seen: list[int] = []
        first = pa.Table.from_pandas(rows(("AA", at(1), 1)))
        PolarsOfflineStore.offline_write_batch(store.config, daily, first, seen.append)
        assert values(store, ("AA", at(2))) == [1]
        assert seen == [1]
        with pytest.raises(ValueError, match="feature view daily: the rows have columns"):
            PolarsOfflineStore.offline_write_batch(store.config, daily, first.drop_columns(["value"]), None)

    def test_rows_with_the_names_of_the_view_are_written_with_those_of_the_source(
        self, make: Make, tmp_path: Path
    ) -> None:
        daily = view(rows(("AA", at(1), 1), names="carrier event V"), tmp_path, mapping={"V": "value"})
        store = make(daily)
        store.write_to_offline_store("daily", rows(("AA", at(2), 2), names="carrier event V"))
        assert values(store, ("AA", at(2))) == [2]

    def test_a_glob_takes_no_rows(self, make: Make, tmp_path: Path) -> None:
        daily = view(rows(("AA", at(1), 1)), tmp_path)
        daily.batch_source.file_options.uri = "daily/*.parquet"
        store = make(daily)
        with pytest.raises(ValueError, match=r"feature view daily: rows cannot be added to the pattern .*\*"):
            PolarsOfflineStore.offline_write_batch(
                store.config, daily, pa.Table.from_pandas(rows(("AA", at(1), 1))), None
            )


def test_the_configuration_refuses_what_it_does_not_know() -> None:
    assert PolarsOfflineStoreConfig().exclude_created_after is True
    with pytest.raises(ValidationError):
        PolarsOfflineStoreConfig(exclude_created_after="no")
    with pytest.raises(ValidationError):
        PolarsOfflineStoreConfig(exclude_created=False)


class TestSavedDatasets:
    def test_a_saved_dataset_is_found_again_by_its_name(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), BIG)), tmp_path))
        entities = rows(("AA", at(2), 1), ("UA", at(3), 0), names="carrier event_timestamp label")
        job = store.get_historical_features(entities, ["daily:value"], full_feature_names=True)
        with pytest.warns(RuntimeWarning):
            store.create_saved_dataset(job, "train", SavedDatasetFileStorage(path="train"))
        found = store.get_saved_dataset("train")
        assert found.to_df()["daily__value"].tolist() == [BIG, pd.NA]
        assert pd.read_parquet(tmp_path / "train")["label"].tolist() == [1, 0]

    def test_a_result_is_validated_against_a_reference(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path))
        reference = ValidationReference("reference", "train")
        reference._profile = RowsProfile(rows=2)
        job = store.get_historical_features(rows(("AA", at(2)), names="carrier event_timestamp"), ["daily:value"])
        with pytest.warns(RuntimeWarning), pytest.raises(ValidationFailed):
            job.to_df(validation_reference=reference)

    def test_what_needs_another_machine_or_sql_is_refused_with_the_cure(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path))
        job = store.get_historical_features(rows(("AA", at(2)), names="carrier event_timestamp"), ["daily:value"])
        assert job.supports_remote_storage_export() is False
        with pytest.raises(NotImplementedError, match="use persist"):
            job.to_remote_storage()
        with pytest.raises(NotImplementedError, match="no SQL"):
            job.to_sql()


class TestLogging:
    """What a feature server logs comes back as it was served."""

    @pytest.mark.parametrize("partition_by", [None, ["carrier", "day"]])
    @pytest.mark.parametrize("as_path", [False, True])
    def test_logged_rows_are_added_once_and_read_back(
        self, make: Make, tmp_path: Path, partition_by: list[str] | None, as_path: bool
    ) -> None:
        daily = view(rows(("AA", at(1), 1)), tmp_path)
        destination = FileLoggingDestination(path="logs", partition_by=partition_by)
        service = FeatureService(name="model", features=[daily], logging_config=LoggingConfig(destination=destination))
        store = make(daily, service)
        for carrier, day in (("_a/b", 1), ("AA", 2), ("AA", 2)):
            table = logged(carrier, day)
            if as_path:
                pq.write_table(table, tmp_path / "flushed.parquet")
            store.write_logged_features(tmp_path / "flushed.parquet" if as_path else table, service)
        source = destination.to_data_source()
        job = PolarsOfflineStore.pull_all_from_table_or_query(
            store.config, source, [], ["carrier", "daily__value"], "__log_timestamp", None, at(1), at(2)
        )
        assert sorted(job.to_df()["carrier"]) == ["AA", "_a/b"]
        folders = {path.parent.relative_to(tmp_path / "logs").as_posix() for path in tmp_path.glob("logs/**/*.parquet")}
        assert folders == ({"AA/2", "%5Fa%2Fb/1"} if partition_by else {"."})

    def test_other_destinations_are_refused(self, make: Make, tmp_path: Path) -> None:
        config = LoggingConfig(destination=CustomDestination())
        store = make()
        with pytest.raises(TypeError, match="logged to a FileLoggingDestination, not CustomDestination"):
            PolarsOfflineStore.write_logged_features(store.config, logged("AA", 1), None, config, store.registry)


class CustomDestination(LoggingDestination):
    _proto_kind = "custom_destination"


def logged(carrier: str, day: int) -> pa.Table:
    return pa.table({"carrier": [carrier], "day": [day], "daily__value": [day], "__log_timestamp": [at(day)]})


class RowsProfile(Profile):
    """Expects a number of rows."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def validate(self, dataset: pd.DataFrame) -> ValidationReport:
        return RowsReport(len(dataset) == self.rows)


class RowsReport(ValidationReport):
    def __init__(self, success: bool) -> None:
        self.success = success

    @property
    def is_success(self) -> bool:
        return self.success

    @property
    def errors(self) -> list[Any]:
        return []
