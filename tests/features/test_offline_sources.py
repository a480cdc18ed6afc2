"""Where the offline store finds rows, and what it makes of what it finds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from feast.data_format import DeltaFormat
from feast.types import Int64

from include.features.offline.store import PolarsOfflineStore
from tests.features.offline_feature_store import (
    BIG,
    TAIL,
    Make,
    at,
    history,
    online,
    rows,
    values,
    view,
)


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
