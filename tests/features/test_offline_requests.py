"""Keys, names and forms of a request for historical features."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureService, Field, RequestSource
from feast.feature_view import DUMMY_ENTITY_ID
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Bool, Int64, String

from tests.features.offline_feature_store import (
    AIRPORT,
    BIG,
    CARRIER,
    TAIL,
    Make,
    at,
    history,
    rows,
    values,
    view,
)


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

    def test_an_on_demand_view_is_given_no_features_that_it_does_not_read(self, make: Make, tmp_path: Path) -> None:
        carriers = view(rows(("AA", at(1), 3)), tmp_path)
        planes = view(rows((7, at(1), 70), names="tail event flown"), tmp_path, name="planes", keys=(TAIL,),
                      features={"flown": Int64})  # fmt: skip

        @on_demand_feature_view(  # type: ignore[untyped-decorator]
            sources=[carriers], schema=[Field(name="given", dtype=String)], mode="python"
        )
        def told(inputs: dict[str, list[object]]) -> dict[str, list[str]]:
            return {"given": [" ".join(sorted(inputs))] * len(inputs["value"])}

        store = make(carriers, planes, told)
        entities = rows(("AA", 7, at(2)), names="carrier tail event_timestamp")
        found = history(store, entities, "planes:flown", "daily:value", "told:given")
        assert found["flown"].tolist() == [70]
        assert found["given"].tolist() == ["carrier daily__value event_timestamp tail value"]

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

    def test_other_forms_of_entity_rows_are_refused(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path))
        with pytest.raises(TypeError, match=r"a pandas frame, the path of a \.parquet file or SQL, not list"):
            store.get_historical_features([1], ["daily:value"])

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
