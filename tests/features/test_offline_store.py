"""The offline store behind a real Feast FeatureStore: file registry, SQLite online store, Parquet files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import (
    Entity,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    RepoConfig,
    RequestSource,
    ValueType,
)
from feast.data_format import DeltaFormat
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.feature_view import DUMMY_ENTITY_ID
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Bool, Int64, PrimitiveFeastType, String
from pydantic import ValidationError

from include.features.offline.store import PolarsOfflineStore, PolarsOfflineStoreConfig

BIG = 2**53 + 1
DAY = timedelta(days=1)
CARRIER = Entity(name="carrier", join_keys=["carrier"], value_type=ValueType.STRING)
TAIL = Entity(name="tail", join_keys=["tail"], value_type=ValueType.INT64)
AIRPORT = Entity(name="airport", join_keys=["airport"], value_type=ValueType.STRING)
Make = Callable[..., FeatureStore]


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2024, 1, day, hour, tzinfo=UTC)


def rows(*values: tuple[Any, ...], names: str = "carrier event value created") -> pd.DataFrame:
    return pd.DataFrame(list(values), columns=names.split()[: len(values[0])])


def view(
    frame: pd.DataFrame | None,
    path: Path,
    *,
    name: str = "daily",
    keys: tuple[Entity, ...] = (CARRIER,),
    features: dict[str, PrimitiveFeastType] | None = None,
    ttl: timedelta = timedelta(0),
    created: bool | None = None,
    mapping: dict[str, str] | None = None,
    **more: Any,
) -> FeatureView:
    """A feature view over a folder <path>/<name> that holds `frame` as its one partition."""
    if frame is not None:
        (path / name).mkdir(parents=True, exist_ok=True)
        frame.to_parquet(path / name / "2024-01.parquet", index=False)
    if created is None:
        created = frame is not None and "created" in frame
    key_types = {ValueType.STRING: String, ValueType.INT64: Int64}
    return FeatureView(
        name=name,
        entities=list(keys),
        ttl=ttl,
        schema=[Field(name=key.join_key, dtype=key_types[key.value_type]) for key in keys]
        + [Field(name=feature, dtype=dtype) for feature, dtype in (features or {"value": Int64}).items()],
        source=FileSource(
            name=f"{name}_source",
            path=str(path / name),
            timestamp_field="event",
            created_timestamp_column="created" if created else "",
            field_mapping=mapping or {},
        ),
        **more,
    )


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def build(*objects: Any, pull_latest: bool = False, **offline: Any) -> FeatureStore:
        config = RepoConfig(
            project="test",
            provider="local",
            registry=str(tmp_path / "registry.db"),
            online_store={"type": "sqlite", "path": str(tmp_path / "online.db")},
            offline_store={"type": "include.features.offline.store.PolarsOfflineStore", **offline},
            materialization={"pull_latest_features": pull_latest},
            entity_key_serialization_version=3,
            repo_path=tmp_path,
        )
        store = FeatureStore(config=config)
        store.apply([CARRIER, TAIL, AIRPORT, *objects])
        return store

    return build


def history(store: FeatureStore, entities: pd.DataFrame, *features: str, **options: Any) -> pd.DataFrame:
    job = store.get_historical_features(entities, list(features) or ["daily:value"], **options)
    frame: pd.DataFrame = job.to_df()
    return frame


def values(store: FeatureStore, *entities: tuple[Any, ...], **options: Any) -> list[Any]:
    """The feature daily:value for rows (carrier, time), with None where it is missing."""
    frame = pd.DataFrame(list(entities), columns=["carrier", "event_timestamp"])
    found = history(store, frame, **options)["value"]
    return [None if pd.isna(value) else value for value in found]


class TestPointInTime:
    """The numbered cases in which Feast's own stores were tried."""

    def test_01_the_last_value_within_the_ttl_in_the_order_of_the_entity_rows(self, make: Make, tmp_path: Path) -> None:
        frame = rows(("AA", at(1), 1), ("AA", at(2), 2), ("UA", at(1), 3))
        store = make(view(frame, tmp_path, ttl=2 * DAY))
        assert values(store, ("AA", at(3)), ("UA", at(2)), ("AA", at(1, 12))) == [2, 3, 1]

    def test_02_a_row_whose_values_all_lie_in_the_future_is_kept_with_null(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(5), 1)), tmp_path, ttl=DAY))
        assert values(store, ("AA", at(4)), ("AA", at(5))) == [None, 1]

    def test_03_a_row_whose_only_value_is_older_than_the_ttl_is_kept_with_null(
        self, make: Make, tmp_path: Path
    ) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path, ttl=DAY))
        assert values(store, ("AA", at(2, 1)), ("AA", at(1, 23))) == [None, 1]

    def test_04_two_label_rows_of_the_same_key_and_time_are_both_kept(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path))
        labels = rows(("AA", at(2), 0), ("AA", at(2), 1), names="carrier event_timestamp label")
        found = history(store, labels)
        assert found["label"].tolist() == [0, 1]
        assert found["value"].tolist() == [1, 1]

    def test_05_two_views_with_different_keys_keep_every_row(self, make: Make, tmp_path: Path) -> None:
        by_carrier = view(rows(("AA", at(1), 1)), tmp_path)
        tails = rows((7, at(1), 70), (8, at(1), 80), names="tail event flown")
        by_tail = view(tails, tmp_path, name="planes", keys=(TAIL,), features={"flown": Int64})
        store = make(by_carrier, by_tail)
        entities = rows(("AA", 8, at(2)), ("AA", 7, at(2)), names="carrier tail event_timestamp")
        found = history(store, entities, "daily:value", "planes:flown")
        assert found[["tail", "value", "flown"]].to_numpy().tolist() == [[8, 1, 80], [7, 1, 70]]

    def test_06_of_equal_event_times_the_one_created_last_wins(self, make: Make, tmp_path: Path) -> None:
        newest_first = rows(("AA", at(1), 2, at(3)), ("AA", at(1), 1, at(2)))
        store = make(view(newest_first, tmp_path))
        assert values(store, ("AA", at(4))) == [2]

    def test_07_what_was_created_after_the_entity_time_is_not_seen(self, make: Make, tmp_path: Path) -> None:
        frame = rows(("AA", at(1), 1, at(1)), ("AA", at(1), 2, at(5)), ("AA", at(2), 3, at(6)))
        store = make(view(frame, tmp_path))
        assert values(store, ("AA", at(4)), ("AA", at(5)), ("AA", at(6))) == [1, 2, 3]

    def test_07_history_as_known_today_is_a_choice_of_configuration(self, make: Make, tmp_path: Path) -> None:
        frame = rows(("AA", at(1), 1, at(1)), ("AA", at(1), 2, at(5)))
        store = make(view(frame, tmp_path), exclude_created_after=False)
        assert values(store, ("AA", at(4))) == [2]
        assert values(store, ("AA", at(4)), filter_by_created_timestamp=True) == [1]

    def test_07_a_row_of_unknown_creation_is_not_seen(self, make: Make, tmp_path: Path) -> None:
        frame = rows(("AA", at(1), 1, at(1)), ("AA", at(2), 2, pd.NaT))
        assert values(make(view(frame, tmp_path)), ("AA", at(4))) == [1]

    def test_08_new_york_times_are_compared_as_instants(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(2, 5), 1)), tmp_path))
        times = pd.to_datetime(["2024-01-01T23:59", "2024-01-02T00:00"]).tz_localize("America/New_York")
        assert values(store, ("AA", times[0]), ("AA", times[1])) == [None, 1]

    def test_09_naive_entity_times_are_utc(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(2), 1)), tmp_path))
        assert values(store, ("AA", datetime(2024, 1, 1, 23)), ("AA", datetime(2024, 1, 2))) == [None, 1]  # noqa: DTZ001

    def test_10_naive_source_times_are_utc(self, make: Make, tmp_path: Path) -> None:
        naive = [at(2).replace(tzinfo=None), at(3).replace(tzinfo=None)]
        store = make(view(rows(("AA", naive[0], 1, naive[1])), tmp_path))
        assert values(store, ("AA", at(2)), ("AA", at(3))) == [None, 1]

    def test_11_a_null_key_matches_nothing(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows((None, at(1), 1), ("AA", at(1), 2)), tmp_path))
        assert values(store, (None, at(2)), ("AA", at(2))) == [None, 2]

    def test_11_also_where_pandas_has_made_the_integer_key_a_float(self, make: Make, tmp_path: Path) -> None:
        planes = rows((np.nan, at(1), 1), (7, at(1), 2), names="tail event value")
        assert planes["tail"].dtype == float
        store = make(view(planes, tmp_path, keys=(TAIL,)))
        for tails in ([None, 7.0], pd.array([None, 7], dtype="Int64")):
            found = history(store, pd.DataFrame({"tail": tails, "event_timestamp": at(2)}))
            assert found["value"].tolist() == [pd.NA, 2]

    def test_12_a_feature_may_be_called_delay_y(self, make: Make, tmp_path: Path) -> None:
        frame = rows(("AA", at(1), 1, 2), names="carrier event delay_x delay_y")
        store = make(view(frame, tmp_path, features={"delay_x": Int64, "delay_y": Int64}))
        found = history(store, rows(("AA", at(2)), names="carrier event_timestamp"), "daily:delay_y", "daily:delay_x")
        assert found[["delay_x", "delay_y"]].to_numpy().tolist() == [[1, 2]]
        assert list(found) == ["carrier", "event_timestamp", "delay_y", "delay_x"]

    def test_13_an_event_exactly_ttl_old_counts(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path, ttl=DAY))
        just_after = at(2) + timedelta(microseconds=1)
        assert values(store, ("AA", at(2)), ("AA", just_after)) == [1, None]

    def test_14_integers_above_2_to_the_53_stay_exact_beside_missing_rows(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), BIG)), tmp_path))
        entities = rows(("AA", at(2)), ("UA", at(2)), names="carrier event_timestamp")
        job = store.get_historical_features(entities, ["daily:value"])
        assert job.to_df()["value"].dtype == "Int64"
        assert job.to_df()["value"].tolist() == [BIG, pd.NA]
        assert job.to_arrow()["value"].type == pa.int64()
        assert job.to_arrow()["value"].to_pylist() == [BIG, None]

    def test_15_an_entity_column_of_the_name_of_a_feature_is_refused(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path))
        entities = rows(("AA", at(2), 9), names="carrier event_timestamp value")
        with pytest.raises(ValueError, match=r"already has a column value \(feature daily:value\): rename"):
            store.get_historical_features(entities, ["daily:value"])
        assert history(store, entities, full_feature_names=True)["daily__value"].tolist() == [1]

    def test_16_times_may_be_iso_strings(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(2), 1)), tmp_path))
        found = values(store, ("AA", "2024-01-01T23:59:59"), ("AA", "2024-01-02"), ("AA", "2024-01-01T19:00:00-05:00"))
        assert found == [None, 1, 1]

    def test_17_the_frame_of_the_caller_is_not_changed(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path))
        entities = pd.DataFrame(
            {"carrier": ["UA", "AA"], "event_timestamp": ["2024-01-03", "2024-01-02"]}, index=[5, 3]
        )
        before = entities.copy(deep=True)
        assert history(store, entities)["value"].tolist() == [pd.NA, 1]
        pd.testing.assert_frame_equal(entities, before)

    @pytest.mark.parametrize("pull_latest", [False, True])
    def test_18_materialize_reads_both_ends_and_breaks_ties_by_created(
        self, make: Make, tmp_path: Path, pull_latest: bool
    ) -> None:
        frame = rows(
            ("AA", at(3), 2, at(5)),
            ("AA", at(3), 1, at(4)),
            ("AA", at(3, 1), 9, at(4)),
            ("UA", at(2), 3, at(2)),
            ("DL", at(1, 23), 4, at(2)),
        )
        store = make(view(frame, tmp_path), pull_latest=pull_latest)
        store.materialize(at(2), at(3))
        assert online(store, "AA", "UA", "DL") == [2, 3, None]

    @pytest.mark.parametrize("pull_latest", [False, True])
    def test_19_ties_by_created_hold_over_500_shuffled_keys(
        self, make: Make, tmp_path: Path, pull_latest: bool
    ) -> None:
        twice = [(f"K{k}", at(1), 1000 * turn + k, at(2 + turn)) for turn in (0, 1) for k in range(500)]
        shuffled = rows(*twice).sample(frac=1, random_state=7)
        store = make(view(shuffled, tmp_path), pull_latest=pull_latest)
        store.materialize(at(1), at(2))
        keys = [f"K{k}" for k in range(500)]
        expected = [1000 + k for k in range(500)]
        assert online(store, *keys) == expected
        assert values(store, *((key, at(9)) for key in keys)) == expected


def online(store: FeatureStore, *carriers: str, feature: str = "daily:value") -> list[Any]:
    answer = store.get_online_features([feature], [{"carrier": carrier} for carrier in carriers]).to_dict()
    return list(answer[feature.split(":")[1]])


class TestSources:
    """Where the rows come from."""

    @pytest.mark.parametrize("form", ["one.parquet", "parts", "parts/*.parquet", "parts/"])
    def test_one_file_a_folder_or_a_glob(self, make: Make, tmp_path: Path, form: str) -> None:
        daily = view(None, tmp_path)
        daily.batch_source.file_options.uri = form  # relative: it starts at the feature repository
        (tmp_path / "parts" / "deeper").mkdir(parents=True)
        rows(("AA", at(1), 1)).to_parquet(tmp_path / "one.parquet")
        rows(("AA", at(1), 1)).to_parquet(tmp_path / "parts" / "2024-01-01.parquet")
        assert values(make(daily), ("AA", at(2))) == [1]

    def test_files_still_being_written_are_not_read(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path))
        for name in (".2024-02.parquet", "_2024-02.parquet", "2024-02.parquet.tmp"):
            (tmp_path / "daily" / name).write_bytes(b"half")
        assert values(store, ("AA", at(2))) == [1]

    def test_a_folder_name_with_pattern_characters_is_a_folder(self, make: Make, tmp_path: Path) -> None:
        assert values(make(view(rows(("AA", at(1), 1)), tmp_path / "a[1]*")), ("AA", at(2))) == [1]

    def test_of_equal_rows_in_two_partitions_the_later_partition_wins(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path))
        rows(("AA", at(1), 2)).to_parquet(tmp_path / "daily" / "2024-02.parquet")
        assert values(store, ("AA", at(2))) == [2]

    def test_so_it_is_in_partitions_large_enough_to_be_read_in_parallel(self, make: Make, tmp_path: Path) -> None:
        keys = range(100_000)
        store = make(view(rows((0, at(1), 0), names="tail event value"), tmp_path, keys=(TAIL,)))
        for part in (1, 2, 3):
            frame = pd.DataFrame({"tail": keys, "event": [at(1)] * len(keys), "value": part})
            frame.sample(frac=1, random_state=part).to_parquet(tmp_path / "daily" / f"part-{part}.parquet")
        found = history(store, pd.DataFrame({"tail": keys, "event_timestamp": at(2)}))
        assert (found["value"] == 3).all()

    @pytest.mark.parametrize("exists", [True, False])
    def test_a_source_without_files_names_the_view_the_path_and_the_cure(
        self, make: Make, tmp_path: Path, exists: bool
    ) -> None:
        store = make(view(None, tmp_path))
        if exists:
            (tmp_path / "daily").mkdir()
        expected = f"feature view daily: no Parquet file at {tmp_path}/daily; ingest the data and compute the"
        with pytest.raises(FileNotFoundError, match=expected):
            values(store, ("AA", at(2)))
        with pytest.raises(FileNotFoundError, match="source daily_source: no Parquet file"):
            store.materialize(at(1), at(2))

    def test_a_missing_column_is_named(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path, features={"other": Int64}))
        with pytest.raises(ValueError, match="feature view daily: no column other; there are carrier, event, value"):
            history(store, rows(("AA", at(2)), names="carrier event_timestamp"), "daily:other")

    def test_other_formats_and_remote_files_are_refused(self, make: Make, tmp_path: Path) -> None:
        daily = view(rows(("AA", at(1), 1)), tmp_path)
        store = make(daily)
        daily.batch_source.file_options.file_format = DeltaFormat()
        store.apply(daily)
        with pytest.raises(ValueError, match="feature view daily: the format must be Parquet, not DeltaFormat"):
            values(store, ("AA", at(2)))
        daily.batch_source.file_options.file_format = None
        daily.batch_source.file_options.uri = "s3://bucket/daily"
        store.apply(daily)
        with pytest.raises(ValueError, match="s3://bucket/daily: only Parquet files on a local disk"):
            values(store, ("AA", at(2)))

    def test_field_mapping_holds_for_keys_times_and_features(self, make: Make, tmp_path: Path) -> None:
        frame = rows(("AA", at(1), 1, at(1)), ("AA", at(1), 2, at(2)), names="CARR TS V MADE")
        mapping = {"CARR": "carrier", "TS": "event", "V": "value", "MADE": "created"}
        store = make(view(frame, tmp_path, created=True, mapping=mapping))
        assert values(store, ("AA", at(1)), ("AA", at(2))) == [1, 2]
        store.materialize(at(1), at(1))
        assert online(store, "AA") == [2]


class TestRequests:
    """Keys, names and forms of a request."""

    def test_several_join_keys_must_all_match(self, make: Make, tmp_path: Path) -> None:
        frame = rows(("AA", 7, at(1), 1), ("AA", 8, at(1), 2), names="carrier tail event value")
        store = make(view(frame, tmp_path, keys=(CARRIER, TAIL)))
        entities = rows(("AA", 8, at(2)), ("UA", 7, at(2)), ("AA", 7, at(2)), names="carrier tail event_timestamp")
        assert history(store, entities)["value"].tolist() == [2, pd.NA, 1]

    def test_one_view_joined_twice_by_aliases_of_its_key(self, make: Make, tmp_path: Path) -> None:
        frame = rows(("JFK", at(1), 1), ("LAX", at(1), 2), names="airport event busy")
        airports = view(frame, tmp_path, name="airports", keys=(AIRPORT,), features={"busy": Int64})
        both = FeatureService(
            name="both",
            features=[
                airports.with_name("origin").with_join_key_map({"airport": "from_airport"}),
                airports.with_name("dest").with_join_key_map({"airport": "to_airport"}),
            ],
        )
        store = make(airports, both)
        entities = rows(("JFK", "LAX", at(2)), names="from_airport to_airport event_timestamp")
        found = store.get_historical_features(entities, both, full_feature_names=True).to_df()
        assert found[["origin__busy", "dest__busy"]].to_numpy().tolist() == [[1, 2]]

    def test_a_feature_service_gets_its_projection_only(self, make: Make, tmp_path: Path) -> None:
        frame = rows(("AA", at(1), 1, 2, True), names="carrier event a b c")
        daily = view(frame, tmp_path, features={"a": Int64, "b": Int64, "c": Bool})
        service = FeatureService(name="model", features=[daily[["c", "a"]]])
        store = make(daily, service)
        found = store.get_historical_features(rows(("AA", at(2)), names="carrier event_timestamp"), service).to_df()
        assert sorted(found) == ["a", "c", "carrier", "event_timestamp"]
        assert found["c"].dtype == "boolean"

    def test_on_demand_features_are_computed_from_features_and_request_data(self, make: Make, tmp_path: Path) -> None:
        daily = view(rows(("AA", at(1), 5)), tmp_path)

        request = RequestSource(name="request", schema=[Field(name="base", dtype=Int64)])

        @on_demand_feature_view(  # type: ignore[untyped-decorator]
            sources=[daily, request], schema=[Field(name="sum", dtype=Int64)], mode="pandas"
        )
        def derived(inputs: pd.DataFrame) -> pd.DataFrame:
            return pd.DataFrame({"sum": inputs["value"] + inputs["base"]})

        store = make(daily, derived)
        entities = rows(("AA", at(2), BIG - 5), ("UA", at(2), 0), names="carrier event_timestamp base")
        job = store.get_historical_features(entities, ["daily:value", "derived:sum"])
        assert job.to_arrow()["sum"].to_pylist() == [BIG, None]
        assert job.to_df()["sum"].tolist() == [BIG, pd.NA]
        full = history(store, entities.assign(base=1), "derived:sum", full_feature_names=True)
        assert full["derived__sum"].tolist()[0] == 6
        with pytest.raises(ValueError, match=r"already has a column sum \(feature derived:sum\)"):
            history(store, entities.assign(sum=0), "derived:sum")

    def test_the_features_come_in_the_order_they_were_asked_for(self, make: Make, tmp_path: Path) -> None:
        frame = rows(("AA", at(1), 1, 2), names="carrier event a b")
        one = view(frame, tmp_path, features={"a": Int64, "b": Int64})
        other = view(frame.rename(columns={"a": "c"}), tmp_path, name="other", features={"c": Int64})
        store = make(one, other)
        entities = rows(("AA", at(2)), names="carrier event_timestamp")
        assert list(history(store, entities, "daily:b", "other:c", "daily:a"))[2:] == ["b", "c", "a"]

    def test_other_columns_of_the_entity_frame_keep_values_and_types(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path))
        entities = pd.DataFrame(
            {
                "label": pd.array([BIG, None], dtype="Int64"),
                "group": pd.Categorical(["x", "y"]),
                "carrier": pd.Categorical(["AA", "AA"]),
                "event_timestamp": [at(2), at(3)],
                "weight": [0.5, np.nan],
                "id": [BIG, BIG],
            }
        )
        found = history(store, entities)
        assert found["value"].tolist() == [1, 1]
        pd.testing.assert_frame_equal(
            found[["label", "group", "weight", "id"]], entities[["label", "group", "weight", "id"]]
        )

    def test_features_of_text_lists_and_categories_are_joined(self, make: Make, tmp_path: Path) -> None:
        frame = rows(("AA", at(1), "a", ["x"]), names="carrier event value many").astype({"value": "category"})
        store = make(view(frame, tmp_path, features={"value": String, "many": String}))
        entities = rows(("UA", at(2)), ("AA", at(2)), names="carrier event_timestamp")
        found = history(store, entities, "daily:value", "daily:many")
        assert found["value"].tolist() == [None, "a"]
        assert [None if many is None else list(many) for many in found["many"]] == [None, ["x"]]

    def test_a_view_without_entities_gives_its_latest_row_to_all(self, make: Make, tmp_path: Path) -> None:
        frame = rows((at(1), 1), (at(3), 2), names="event value")
        store = make(view(frame, tmp_path, keys=()))
        assert values(store, ("AA", at(2)), ("UA", at(3)), ("UA", datetime(2023, 1, 1, tzinfo=UTC))) == [
            1,
            2,
            None,
        ]
        store.materialize(at(1), at(2))
        assert store.get_online_features(["daily:value"], [{DUMMY_ENTITY_ID: ""}]).to_dict()["value"] == [1]

    def test_the_only_datetime_column_is_the_time(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path))
        assert history(store, rows(("AA", at(2)), names="carrier departure"))["value"].tolist() == [1]

    def test_entity_rows_may_be_a_parquet_file(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows((BIG, at(1), 1), names="tail event value"), tmp_path, keys=(TAIL,)))
        pq.write_table(
            pa.table({"tail": pa.array([None, BIG]), "event_timestamp": [at(2), at(2)]}),
            tmp_path / "labels.parquet",
        )
        found = store.get_historical_features("labels.parquet", ["daily:value"]).to_arrow()
        assert found["tail"].to_pylist() == [None, BIG]
        assert found["value"].to_pylist() == [None, 1]

    @pytest.mark.parametrize(("entities", "given"), [("SELECT 1", "the string 'SELECT 1'"), (None, "NoneType")])
    def test_other_forms_of_entity_rows_are_refused(
        self, make: Make, tmp_path: Path, entities: str | None, given: str
    ) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path))
        with pytest.raises(TypeError, match=f"a pandas frame or the path of a .parquet file, not {given}"):
            store.get_historical_features(entities, ["daily:value"])

    @pytest.mark.parametrize(("time", "error"), [("2.1.2024", ValueError), ("later", ValueError), (5, TypeError)])
    def test_times_that_are_not_times_are_refused(
        self, make: Make, tmp_path: Path, time: Any, error: type[Exception]
    ) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path))
        with pytest.raises(error, match="entity_df column event_timestamp must hold times or ISO 8601 strings"):
            values(store, ("AA", time))

    def test_dates_and_missing_times_are_accepted(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(2), 1)), tmp_path))
        assert values(store, ("AA", date(2024, 1, 2)), ("AA", None), ("AA", date(2024, 1, 1))) == [
            1,
            None,
            None,
        ]

    def test_a_missing_join_key_is_named(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path))
        with pytest.raises(ValueError, match="feature view daily: entity_df lacks the join key carrier"):
            history(store, rows((7, at(2)), names="tail event_timestamp"))

    def test_an_empty_frame_gives_an_empty_result_with_all_columns(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path))
        empty = rows(("AA", at(2)), names="carrier event_timestamp").iloc[:0]
        found = history(store, empty)
        assert found.empty
        assert list(found) == ["carrier", "event_timestamp", "value"]


class TestMaterialize:
    """What Feast's local engine reads and writes."""

    @pytest.mark.parametrize("pull_latest", [False, True])
    def test_integers_stay_exact_online_and_nulls_stay_null(
        self, make: Make, tmp_path: Path, pull_latest: bool
    ) -> None:
        frame = rows(("AA", at(1), BIG, None), ("UA", at(1), 1, None), names="carrier event value none")
        frame = frame.astype({"none": "Int64"})
        store = make(view(frame, tmp_path, features={"value": Int64, "none": Int64}), pull_latest=pull_latest)
        store.materialize(at(1), at(1))
        assert online(store, "AA", "UA") == [BIG, 1]
        assert online(store, "AA", "UA", feature="daily:none") == [None, None]

    def test_what_is_pulled_stays_exact_beside_nulls_also_in_pandas(self, make: Make, tmp_path: Path) -> None:
        frame = rows(("AA", at(1)), ("UA", at(1))).assign(value=pd.array([BIG, None], dtype="Int64"))
        daily = view(frame, tmp_path)
        job = PolarsOfflineStore.pull_latest_from_table_or_query(
            make(daily).config, daily.batch_source, ["carrier"], ["value"], "event", None, at(1), at(1)
        )
        assert job.to_arrow().to_pandas()["value"].tolist() == [BIG, pd.NA]
        assert job.to_df()["value"].tolist() == [BIG, pd.NA]

    def test_the_latest_row_of_a_null_key_is_left_out(self, make: Make, tmp_path: Path) -> None:
        frame = rows((None, at(1), 1), ("AA", at(1), 2))
        store = make(view(frame, tmp_path), pull_latest=True)
        store.materialize(at(1), at(1))
        assert online(store, "AA") == [2]

    def test_many_partitions_arrive_whole(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("K0", at(1), 0)), tmp_path))
        for k in range(1, 30):
            rows((f"K{k}", at(1), k)).to_parquet(tmp_path / "daily" / f"2024-02-{k:02}.parquet")
        store.materialize(at(1), at(1))
        assert online(store, *(f"K{k}" for k in range(30))) == list(range(30))

    def test_pull_all_reads_every_row_of_the_window_in_one_chunk(self, make: Make, tmp_path: Path) -> None:
        daily = view(rows(("AA", at(1), 1), ("AA", at(2), 2), ("AA", at(3), 3)), tmp_path)
        rows(("UA", at(2), 4)).to_parquet(tmp_path / "daily" / "2024-02.parquet")
        store = make(daily)
        table = PolarsOfflineStore.pull_all_from_table_or_query(
            store.config, daily.batch_source, ["carrier"], ["value"], "event", None, at(2), at(3)
        ).to_arrow()
        assert table["value"].to_pylist() == [2, 3, 4]
        assert table["value"].num_chunks == 1
        everything = PolarsOfflineStore.pull_all_from_table_or_query(
            store.config, daily.batch_source, ["carrier"], ["value"], "event"
        )
        assert len(everything.to_df()) == 4


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
