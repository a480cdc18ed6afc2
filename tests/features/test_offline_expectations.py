"""What Feast expects of every offline store, tried on ours: backfills, ttl, names, schemas, pushes and inference."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from feast import FeatureService, FeatureView, Field, FileSource, PushSource, RequestSource
from feast.data_format import DeltaFormat
from feast.data_source import PushMode
from feast.errors import RequestDataNotFoundInEntityDfException
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float32, Int64, String

from include.features.offline.store import PolarsOfflineStore
from tests.features.offline_feature_store import CARRIER, DAY, Make, at, history, rows, values, view


class TestHistory:
    def test_a_backfill_replaces_the_values_of_its_event_times(self, make: Make, tmp_path: Path) -> None:
        frame = rows(
            ("AA", at(1), 10, at(1)), ("AA", at(2), 20, at(2)), ("AA", at(1), 11, at(3)), ("AA", at(2), 21, at(3))
        )
        store = make(view(frame, tmp_path), exclude_created_after=False)
        assert values(store, ("AA", at(1)), ("AA", at(2)), ("AA", at(4))) == [11, 21, 21]

    def test_without_a_ttl_no_value_is_too_old(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path, ttl=timedelta(0)))
        assert values(store, ("AA", at(1) + 10_000 * DAY)) == [1]

    def test_each_view_has_its_own_ttl(self, make: Make, tmp_path: Path) -> None:
        frame = rows(("AA", at(1), 1))
        store = make(view(frame, tmp_path, ttl=DAY), view(frame, tmp_path, name="long", ttl=3 * DAY))
        entities = rows(("AA", at(3)), names="carrier event_timestamp")
        found = history(store, entities, "daily:value", "long:value", full_feature_names=True)
        assert found[["daily__value", "long__value"]].to_numpy().tolist() == [[pd.NA, 1]]

    def test_two_views_may_read_one_source(self, make: Make, tmp_path: Path) -> None:
        one = view(rows(("AA", at(1), 1, 2), names="carrier event value other"), tmp_path)
        same = FeatureView(
            name="same",
            entities=[CARRIER],
            schema=[Field(name="carrier", dtype=String), Field(name="other", dtype=Int64)],
            source=one.batch_source,
        )
        entities = rows(("AA", at(2)), names="carrier event_timestamp")
        found = history(make(one, same), entities, "daily:value", "same:other")
        assert found[["value", "other"]].to_numpy().tolist() == [[1, 2]]

    def test_time_columns_may_have_any_names_also_that_of_the_entity_time(self, make: Make, tmp_path: Path) -> None:
        frame = rows(("AA", at(1), 1, at(1)), names="carrier event_timestamp value created_at")
        frame.to_parquet(tmp_path / "rows.parquet")
        daily = FeatureView(
            name="daily",
            entities=[CARRIER],
            schema=[Field(name="carrier", dtype=String), Field(name="value", dtype=Int64)],
            source=FileSource(
                path="rows.parquet", timestamp_field="event_timestamp", created_timestamp_column="created_at"
            ),
        )
        found = history(make(daily), rows(("AA", at(2)), names="carrier when"))
        assert found.to_numpy().tolist() == [["AA", at(2), 1]]

    def test_names_with_underscores_stay_apart(self, make: Make, tmp_path: Path) -> None:
        frame = rows(("AA", at(1), 1, 2), names="carrier event b__c c")
        one = view(frame, tmp_path, name="a", features={"b__c": Int64})
        other = view(frame, tmp_path, name="a__b", features={"c": Int64})
        store = make(one, other)
        entities = rows(("AA", at(2)), names="carrier event_timestamp")
        assert history(store, entities, "a:b__c", "a__b:c")[["b__c", "c"]].to_numpy().tolist() == [[1, 2]]
        with pytest.raises(ValueError, match="a:b__c and a__b:c would both be called a__b__c"):
            history(store, entities, "a:b__c", "a__b:c", full_feature_names=True)

    def test_request_data_that_a_frame_lacks_is_named(self, make: Make, tmp_path: Path) -> None:
        request = RequestSource(name="request", schema=[Field(name="base", dtype=Int64)])

        @on_demand_feature_view(sources=[request], schema=[Field(name="twice", dtype=Int64)])  # type: ignore[untyped-decorator]
        def derived(inputs: pd.DataFrame) -> pd.DataFrame:
            return pd.DataFrame({"twice": inputs["base"] * 2})

        store = make(view(rows(("AA", at(1), 1)), tmp_path), derived)
        with pytest.raises(RequestDataNotFoundInEntityDfException, match="base"):
            history(store, rows(("AA", at(2)), names="carrier event_timestamp"), "derived:twice")

    def test_a_service_of_an_on_demand_view_gets_only_what_it_chose(self, make: Make, tmp_path: Path) -> None:
        daily = view(rows(("AA", at(1), 5)), tmp_path)

        @on_demand_feature_view(  # type: ignore[untyped-decorator]
            sources=[daily], schema=[Field(name="more", dtype=Int64), Field(name="less", dtype=Int64)]
        )
        def derived(inputs: pd.DataFrame) -> pd.DataFrame:
            return pd.DataFrame({"more": inputs["value"] + 1, "less": inputs["value"] - 1})

        service = FeatureService(name="chosen", features=[derived[["less"]]])
        store = make(daily, derived, service)
        found = store.get_historical_features(rows(("AA", at(2)), names="carrier event_timestamp"), service).to_df()
        assert found["less"].tolist() == [4]
        assert "more" not in found


class TestWrites:
    def test_columns_in_another_order_are_written_and_wrong_ones_refused(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path))
        store.write_to_offline_store("daily", rows((2, at(2), "AA"), names="value event carrier"))
        assert values(store, ("AA", at(2))) == [2]
        with pytest.raises(ValueError, match="missing_expected_columns"):
            store.write_to_offline_store("daily", rows(("AA", at(2)), names="carrier event"))

    def test_writes_one_after_the_other_are_all_seen_and_the_ttl_holds_for_them(
        self, make: Make, tmp_path: Path
    ) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path, ttl=DAY))
        assert values(store, ("AA", at(5))) == [None]
        for day in (4, 5):
            store.write_to_offline_store("daily", rows(("AA", at(day), day)))
        assert values(store, ("AA", at(4)), ("AA", at(5)), ("AA", at(7))) == [4, 5, None]

    def test_rows_pushed_to_the_offline_store_are_read(self, make: Make, tmp_path: Path) -> None:
        daily = view(rows(("AA", at(1), 1)), tmp_path)
        push = PushSource(name="pushed", batch_source=daily.batch_source)
        pushed = FeatureView(
            name="daily",
            entities=[CARRIER],
            schema=[Field(name="carrier", dtype=String), Field(name="value", dtype=Int64)],
            source=push,
        )
        store = make(pushed)
        store.push("pushed", rows(("AA", at(2), 2)), to=PushMode.OFFLINE)
        assert values(store, ("AA", at(2))) == [2]


class TestSchemas:
    @pytest.mark.parametrize("form", ["rows", "rows/*.parquet", "rows/deep/one.parquet"])
    def test_feast_infers_the_schema_of_every_form_of_source(self, make: Make, tmp_path: Path, form: str) -> None:
        frame = rows(("AA", at(1), 1), names="carrier event value").astype({"value": "float32"})
        (tmp_path / "rows" / "deep").mkdir(parents=True)
        for path in ("rows/one.parquet", "rows/deep/one.parquet"):
            frame.to_parquet(tmp_path / path)
        inferred = FeatureView(name="daily", entities=[CARRIER], source=FileSource(path=form, timestamp_field="event"))
        store = make(inferred)
        assert [(field.name, field.dtype) for field in store.get_feature_view("daily").features] == [("value", Float32)]
        assert values(store, ("AA", at(2))) == [1.0]

    def test_a_source_is_validated_by_its_form_and_time_columns(self, make: Make, tmp_path: Path) -> None:
        store, offline = make(), PolarsOfflineStore()
        pa.parquet.write_table(pa.table({"event": [at(1)]}), tmp_path / "rows.parquet")
        offline.validate_data_source(store.config, FileSource(path="rows.parquet", timestamp_field="event"))
        offline.validate_data_source(store.config, FileSource(path="later", timestamp_field="event"))
        with pytest.raises(ValueError, match=r"source rows\.parquet: no column time; there are event"):
            offline.validate_data_source(store.config, FileSource(path="rows.parquet", timestamp_field="time"))
        with pytest.raises(ValueError, match="the format must be Parquet, not DeltaFormat"):
            offline.validate_data_source(store.config, FileSource(path="x", file_format=DeltaFormat()))
