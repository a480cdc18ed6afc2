"""Entity rows given as a Parquet file, as SQL, or by a window of time alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import Field
from feast.errors import RequestDataNotFoundInEntityDfException
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64

from tests.features.offline_feature_store import BIG, CARRIER, DAY, TAIL, Make, at, history, maker, rows, values, view


class TestParquet:
    @pytest.mark.parametrize("times", ["naive", "New York", "text", "milliseconds", "dates"])
    def test_times_mean_what_they_mean_in_a_frame(self, make: Make, tmp_path: Path, times: str) -> None:
        store = make(view(rows(("AA", at(2), 1)), tmp_path))
        stamps = pd.Series([at(1), at(2)])
        column = {
            "naive": pa.array(stamps.dt.tz_localize(None)),
            "New York": pa.array(stamps.dt.tz_convert("America/New_York")),
            "text": pa.array(["2024-01-01T23:59:59.9", "2024-01-01T19:00:00-05:00"]),
            "milliseconds": pa.array(stamps).cast(pa.timestamp("ms", "UTC")),
            "dates": pa.array(stamps.dt.date),
        }[times]
        pq.write_table(pa.table({"carrier": ["AA", "AA"], "event_timestamp": column}), tmp_path / "labels.parquet")
        found = store.get_historical_features("labels.parquet", ["daily:value"]).to_arrow()
        assert found["value"].to_pylist() == [None, 1]
        assert found.schema.field("event_timestamp").type.tz == "UTC"
        assert found["event_timestamp"][1].as_py() == at(2)

    def test_a_stored_index_is_no_column_and_integers_stay_exact_in_pandas(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path))
        labels = rows(("UA", at(2), BIG), ("AA", at(2), BIG), names="carrier event_timestamp id")
        labels["label"] = pd.array([None, BIG], dtype="Int64")
        labels[labels["id"] > 0].iloc[::-1].to_parquet(tmp_path / "labels.parquet")
        found = store.get_historical_features("labels.parquet", ["daily:value"]).to_df()
        assert list(found) == ["carrier", "event_timestamp", "id", "label", "value"]
        assert found["label"].tolist() == [BIG, pd.NA]
        assert found["value"].tolist() == [1, pd.NA]

    def test_the_metadata_has_keys_and_ends_of_the_time(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path))
        rows(("AA", at(3)), ("AA", at(2)), names="carrier event_timestamp").to_parquet(tmp_path / "labels.parquet")
        found = store.get_historical_features("labels.parquet", ["daily:value"]).metadata
        assert (found.keys, found.features) == (["carrier"], ["daily:value"])
        assert (found.min_event_timestamp, found.max_event_timestamp) == (at(2), at(3))


def queried(make: Make, tmp_path: Path, sql: str, **more: Any) -> pd.DataFrame:
    frame = rows(("AA", at(1), 1), ("UA", at(2), 2))
    found: pd.DataFrame = make(view(frame, tmp_path, **more)).get_historical_features(sql, ["daily:value"]).to_df()
    return found


class TestSql:
    def test_a_query_may_select_from_a_feature_view(self, make: Make, tmp_path: Path) -> None:
        sql = "SELECT carrier, event::TIMESTAMPTZ + INTERVAL 1 DAY AS event_timestamp FROM daily ORDER BY carrier DESC"
        found = queried(make, tmp_path, sql)
        assert found["carrier"].tolist() == ["UA", "AA"]
        assert found["event_timestamp"].tolist() == [at(3), at(2)]
        assert found["value"].tolist() == [2, 1]

    def test_a_query_may_read_files_that_lie_in_the_feature_repository(self, make: Make, tmp_path: Path) -> None:
        rows(("AA", at(2), 5), names="carrier departure label").to_parquet(tmp_path / "labels.parquet")
        found = queried(make, tmp_path, "FROM read_parquet('labels.parquet')")
        assert found[["label", "value"]].to_numpy().tolist() == [[5, 1]]

    def test_times_without_a_zone_are_utc_whatever_the_machine(
        self, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TZ", "America/New_York")
        sql = "SELECT 'AA' AS carrier, '2024-01-01'::TIMESTAMPTZ AS event_timestamp"
        found = queried(make, tmp_path, sql)
        assert found["event_timestamp"].tolist() == [at(1)]
        assert found["value"].tolist() == [1]

    def test_files_names_and_columns_may_hold_any_character(self, make: Make, tmp_path: Path) -> None:
        (tmp_path / "it1s").mkdir()
        rows(("ZZ", at(1), 9)).to_parquet(tmp_path / "it1s" / "2024-01.parquet")
        frame = rows(("AA", at(1), 1), names='carrier event V"1')
        folder = tmp_path / "it[1]'s"
        daily = view(frame, folder, name='da"ily', mapping={'V"1': "value"})
        (tmp_path / "it1's").mkdir()
        (tmp_path / "it1's" / 'da"ily').mkdir()
        rows(("ZZ", at(1), 9), names='carrier event V"1').to_parquet(tmp_path / "it1's" / 'da"ily' / "2024-01.parquet")
        sql = 'SELECT carrier, event AS event_timestamp, value AS seen FROM "da""ily"'
        found = make(daily).get_historical_features(sql, ['da"ily:value']).to_df()
        assert found[["carrier", "seen", "value"]].to_numpy().tolist() == [["AA", 1, 1]]

    @pytest.mark.parametrize(
        ("sql", "problem"),
        [
            ("SELECT 1; SELECT 2", "one SELECT statement or end in .parquet, not ['SELECT', 'SELECT']"),
            ("CREATE TABLE x AS SELECT 1", "one SELECT statement or end in .parquet, not ['CREATE']"),
            ("COPY (SELECT 1) TO 'x.csv'", "not ['COPY']"),
            ("", "not empty"),
            ("SELEKT 1", 'syntax error at or near "SELEKT"'),
            ("SELECT * FROM weekly", "Table with name weekly does not exist"),
            ("SELECT 'AA' AS carrier, 1 // 0 AS x, nothing FROM daily", "nothing"),
        ],
    )
    def test_what_is_not_one_good_select_is_refused(self, make: Make, tmp_path: Path, sql: str, problem: str) -> None:
        with pytest.raises(ValueError, match="entity_df") as error:
            queried(make, tmp_path, sql)
        assert problem in str(error.value)

    def test_a_query_that_needs_too_much_memory_names_the_option(self, make: Make, tmp_path: Path) -> None:
        store = make(view(rows(("AA", at(1), 1)), tmp_path), memory_limit_mib=8)
        sql = "SELECT list(range) AS many, now() AS event_timestamp, 'AA' AS carrier FROM range(10000000)"
        with pytest.raises(ValueError, match="raise memory_limit_mib of the offline store"):
            store.get_historical_features(sql, ["daily:value"])

    def test_request_data_that_the_query_lacks_is_named(self, make: Make, tmp_path: Path) -> None:
        from feast import RequestSource

        request = RequestSource(name="request", schema=[Field(name="base", dtype=Int64)])

        @on_demand_feature_view(sources=[request], schema=[Field(name="twice", dtype=Int64)])  # type: ignore[untyped-decorator]
        def derived(inputs: pd.DataFrame) -> pd.DataFrame:
            return pd.DataFrame({"twice": inputs["base"] * 2})

        store = make(view(rows(("AA", at(1), 1)), tmp_path), derived)
        sql = "SELECT carrier, event AS event_timestamp FROM daily"
        with pytest.raises(RequestDataNotFoundInEntityDfException, match="base"):
            store.get_historical_features(sql, ["daily:value", "derived:twice"])
        found = store.get_historical_features(f"SELECT *, 4 AS base FROM ({sql})", ["daily:value", "derived:twice"])
        assert found.to_df()["twice"].tolist() == [8]


class TestWindow:
    """entity_df=None: every key and event time of the window, looked up as any entity row."""

    def test_each_key_and_time_of_the_window_is_a_row_in_the_order_of_time(self, make: Make, tmp_path: Path) -> None:
        frame = rows(("UA", at(2), 1), ("AA", at(3), 2), ("AA", at(2), 3), ("AA", at(4), 4), ("AA", at(1), 5))
        store = make(view(frame, tmp_path))
        job = store.get_historical_features(None, ["daily:value"], start_date=at(2), end_date=at(3))
        found = job.to_df()
        assert list(found) == ["event_timestamp", "carrier", "value"]
        expected = [[at(2), "AA", 3], [at(2), "UA", 1], [at(3), "AA", 2]]
        assert found.to_numpy().tolist() == expected
        assert (job.metadata.min_event_timestamp, job.metadata.max_event_timestamp) == (at(2), at(3))

    def test_rows_of_one_key_and_time_are_one_and_null_keys_are_none(self, make: Make, tmp_path: Path) -> None:
        frame = rows(
            ("AA", at(2), 1, at(2)), ("AA", at(2), 2, at(2)), (None, at(2), 3, at(2)), ("AA", pd.NaT, 4, at(2))
        )
        store = make(view(frame, tmp_path))
        found = store.get_historical_features(None, ["daily:value"], start_date=at(1), end_date=at(3)).to_df()
        assert found["value"].tolist() == [2]

    def test_a_value_created_later_was_not_known_at_its_event(self, make: Make, tmp_path: Path) -> None:
        frame = rows(("AA", at(1), 1, at(1)), ("AA", at(2), 2, at(5)))
        found = {
            known: maker(tmp_path / str(known))(view(frame, tmp_path), exclude_created_after=known)
            .get_historical_features(None, ["daily:value"], start_date=at(1), end_date=at(3))
            .to_df()["value"]
            .tolist()
            for known in (True, False)
        }
        assert found == {True: [1, 1], False: [1, 2]}

    def test_several_views_share_their_rows_and_see_values_from_before_the_window(
        self, make: Make, tmp_path: Path
    ) -> None:
        one = view(rows(("AA", at(1), 1), ("AA", at(3), 3)), tmp_path)
        other = view(rows(("AA", at(4), 40)), tmp_path, name="other", features={"value": Int64})
        store = make(one, other)
        found = store.get_historical_features(
            None, ["daily:value", "other:value"], full_feature_names=True, start_date=at(2), end_date=at(4)
        ).to_df()
        assert found["event_timestamp"].tolist() == [at(3), at(4)]
        assert found["daily__value"].tolist() == [3, 3]
        assert found["other__value"].tolist() == [pd.NA, 40]

    def test_a_view_without_entities_adds_values_and_no_rows(self, make: Make, tmp_path: Path) -> None:
        weather = view(
            rows((at(1), 7), (at(2), 8), names="event wind"), tmp_path, name="w", keys=(), features={"wind": Int64}
        )
        store = make(view(rows(("AA", at(2), 1)), tmp_path), weather)
        both = store.get_historical_features(None, ["daily:value", "w:wind"], start_date=at(1), end_date=at(3)).to_df()
        assert both[["value", "wind"]].to_numpy().tolist() == [[1, 8]]
        alone = store.get_historical_features(None, ["w:wind"], start_date=at(1), end_date=at(3)).to_df()
        assert alone["wind"].tolist() == [7, 8]

    def test_by_default_the_window_is_the_longest_ttl_before_now(self, make: Make, tmp_path: Path) -> None:
        now = datetime.now(UTC)
        frame = rows(("AA", now - 3 * DAY, 1), ("AA", now - DAY, 2), ("AA", now + DAY, 3))
        store = make(view(frame, tmp_path, ttl=2 * DAY), view(frame, tmp_path, name="forever"))
        assert store.get_historical_features(None, ["daily:value"]).to_df()["value"].tolist() == [2]
        old = rows(("AA", now - 40 * DAY, 1), ("AA", now - 20 * DAY, 2))
        old.to_parquet(tmp_path / "forever" / "2024-01.parquet")
        assert store.get_historical_features(None, ["forever:value"]).to_df()["value"].tolist() == [2]
        end = now - 2 * DAY
        assert store.get_historical_features(None, ["daily:value"], end_date=end).to_df()["value"].tolist() == [1]

    def test_naive_ends_are_utc_and_nanoseconds_and_dates_are_times(self, make: Make, tmp_path: Path) -> None:
        frame = rows(("AA", pd.Timestamp(at(2)) + pd.Timedelta(1, "ns"), 1))
        dates = rows(("AA", at(2).date(), 2), names="carrier event other")
        store = make(view(frame, tmp_path), view(dates, tmp_path, name="dates", features={"other": Int64}))
        day = datetime(2024, 1, 2)  # noqa: DTZ001
        found = store.get_historical_features(
            None, ["daily:value", "dates:other"], start_date=day, end_date=day + timedelta(hours=1)
        ).to_df()
        assert found[["value", "other"]].to_numpy().tolist() == [[pd.NA, 2], [1, 2]]

    def test_what_has_no_answer_is_refused(self, make: Make, tmp_path: Path) -> None:
        planes = view(rows((7, at(1), 1), names="tail event value"), tmp_path, name="planes", keys=(TAIL,))
        text = view(rows(("7", at(1), 1), names="tail event value"), tmp_path, name="text", keys=(TAIL,))
        store = make(view(rows(("AA", at(1), 1)), tmp_path), planes, text)
        days = {"start_date": at(1), "end_date": at(2), "full_feature_names": True}
        with pytest.raises(ValueError, match="daily and planes have different join keys: without entity_df"):
            store.get_historical_features(None, ["daily:value", "planes:value"], **days)
        with pytest.raises(
            TypeError, match="feature view text: entity column tail is Int64 but the source's key tail is String"
        ):
            store.get_historical_features(None, ["planes:value", "text:value"], **days)
        with pytest.raises(ValueError, match=r"start_date 2024-01-03T00:00:00.* is after end_date"):
            store.get_historical_features(None, ["daily:value"], start_date=at(3), end_date=at(2))

    def test_float_keys_of_pandas_and_several_keys_work(self, make: Make, tmp_path: Path) -> None:
        frame = rows(("AA", 7.0, at(1), 0.5), ("AA", None, at(1), 0.7), names="carrier tail event value")
        store = make(view(frame, tmp_path, keys=(CARRIER, TAIL), features={"value": Float64}))
        found = store.get_historical_features(None, ["daily:value"], start_date=at(1), end_date=at(1)).to_df()
        assert found[["carrier", "tail", "value"]].to_numpy().tolist() == [["AA", 7.0, 0.5]]
        assert history(store, found[["carrier", "tail", "event_timestamp"]])["value"].tolist() == [0.5]


def test_the_same_rows_give_the_same_values_in_every_form(make: Make, tmp_path: Path) -> None:
    store = make(view(rows(("AA", at(1), 1), ("UA", at(2), 2)), tmp_path))
    frame = rows(("AA", at(1)), ("UA", at(2)), names="carrier event_timestamp")
    frame.to_parquet(tmp_path / "labels.parquet")
    forms: list[Any] = [frame, "labels.parquet", "FROM 'labels.parquet' ORDER BY carrier"]
    found = [store.get_historical_features(form, ["daily:value"]).to_df() for form in forms]
    found.append(store.get_historical_features(None, ["daily:value"], start_date=at(1), end_date=at(2)).to_df())
    assert [one["value"].tolist() for one in found] == [[1, 2]] * 4
    assert values(store, ("AA", at(1))) == [1]
