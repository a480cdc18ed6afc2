"""The numbered cases in which Feast's own stores were tried, behind a real FeatureStore."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from feast.types import Int64

from tests.features.offline_feature_store import (
    BIG,
    DAY,
    TAIL,
    Make,
    at,
    history,
    online,
    rows,
    values,
    view,
)


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
