from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from polars.testing.parametric import dataframes

from include.ingestion import quarantine
from include.ingestion.quarantine import REASON, ROW, VALUE
from include.ingestion.suite import REJECTED

KINDS = [
    pl.Int64(), pl.Int8(), pl.UInt32(), pl.Float64(), pl.Float32(), pl.String(), pl.Boolean(), pl.Date(), pl.Binary(),
    pl.Datetime("us", "UTC"), pl.Datetime("ms"), pl.Duration("us"), pl.Decimal(20, 4), pl.List(pl.Int64()),
]  # fmt: skip
TABLES = dataframes(
    min_cols=1, max_cols=5, max_size=30, allow_null=True, allow_nan=False, allowed_dtypes=[type(kind) for kind in KINDS]
)


def rejected(positions: list[int]) -> pl.DataFrame:
    rows = [(position, f"reason {position % 3}", str(position)) for position in sorted(positions)]
    return pl.DataFrame(rows, schema=REJECTED, orient="row")


def parted(frame: pl.DataFrame, refused: pl.DataFrame | None, folder: Path) -> tuple[dict[str, int], Path | None]:
    frame.write_parquet(folder / "landed.parquet")
    (folder / "parted").mkdir()
    counts = quarantine.part(folder / "landed.parquet", refused, folder / "parted")
    put_aside = folder / "parted" / quarantine.FOLDER / "landed.parquet"
    return counts, put_aside if put_aside.is_file() else None


def restored(folder: Path, put_aside: Path | None) -> pl.DataFrame:
    quarantine.restore(folder / "parted" / "landed.parquet", put_aside, folder / "restored.parquet")
    return pl.read_parquet(folder / "restored.parquet")


def assert_parted_and_restored(frame: pl.DataFrame, positions: list[int]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        counts, put_aside = parted(frame, rejected(positions), folder)
        accepted = pl.read_parquet(folder / "parted" / "landed.parquet")
        kept = [row for row in range(frame.height) if row not in positions]
        assert_frame_equal(accepted, frame[kept])
        assert counts == {"landed": frame.height, "accepted": len(kept), "quarantined": len(positions)}
        assert (put_aside is not None) == bool(positions)
        if put_aside:
            refused = pl.read_parquet(put_aside)
            assert refused[ROW].to_list() == sorted(positions)
            assert refused.select(ROW, REASON, VALUE).equals(rejected(positions))
            assert_frame_equal(refused.drop(ROW, REASON, VALUE), frame[sorted(positions)])
        assert_frame_equal(restored(folder, put_aside), frame)


@given(data=st.data(), frame=TABLES)
@settings(max_examples=60, deadline=None)
def test_parting_conserves_rows_and_restoring_gives_back_what_landed(data: st.DataObject, frame: pl.DataFrame) -> None:
    rows = st.sets(st.integers(0, frame.height - 1)) if frame.height else st.just(set())
    assert_parted_and_restored(frame, sorted(data.draw(rows)))


@given(frame=dataframes(min_cols=1, max_cols=4, min_size=1, max_size=10, allowed_dtypes=[pl.Int64, pl.String]))
@settings(max_examples=10, deadline=None)
def test_a_table_of_which_all_rows_are_refused_is_given_back(frame: pl.DataFrame) -> None:
    assert_parted_and_restored(frame, list(range(frame.height)))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("positions", [[], [1], [0, 1, 2]], ids=["none", "one", "all"])
def test_columns_without_a_value_keep_their_type(kind: pl.DataType, positions: list[int]) -> None:
    assert_parted_and_restored(pl.DataFrame({"a": [1, 2, 3], "b": pl.Series([None] * 3, dtype=kind)}), positions)


def test_a_table_without_rows_is_given_back() -> None:
    assert_parted_and_restored(pl.DataFrame(schema={str(number): kind for number, kind in enumerate(KINDS)}), [])


def test_columns_of_any_name_are_given_back() -> None:
    names = ["", "row", "index", 'a "quoted" one', "right", "id_right", "ü", "count"]
    assert_parted_and_restored(pl.DataFrame({name: [1, 2] for name in names}), [1])


def test_nothing_refused_shares_the_bytes_that_landed(tmp_path: Path) -> None:
    for number, refused in enumerate((None, rejected([]))):
        folder = tmp_path / str(number)
        folder.mkdir()
        _, put_aside = parted(pl.DataFrame({"a": [1, 2]}), refused, folder)
        assert (folder / "parted" / "landed.parquet").samefile(folder / "landed.parquet")
        restored(folder, put_aside)
        assert (folder / "restored.parquet").samefile(folder / "landed.parquet")


def test_a_position_that_did_not_land_is_not_passed_over(tmp_path: Path) -> None:
    counts, put_aside = parted(pl.DataFrame({"a": [1, 2]}), rejected([1, 7]), tmp_path)
    assert counts == {"landed": 2, "accepted": 1, "quarantined": 1}
    assert_frame_equal(restored(tmp_path, put_aside), pl.DataFrame({"a": [1, 2]}))


def test_a_row_that_is_refused_twice_is_an_error(tmp_path: Path) -> None:
    twice = pl.concat([rejected([1]), rejected([1])])
    with pytest.raises(AssertionError, match="rows were lost between landing and quarantine"):
        parted(pl.DataFrame({"a": [1, 2]}), twice, tmp_path)


def large() -> pl.DataFrame:
    numbers = pl.int_range(200_000, eager=True)
    return pl.DataFrame(
        {
            "id": numbers.cast(pl.String),
            "price": (numbers * 7919 % 1009) / 7,
            "shop": (numbers % 17).cast(pl.String),
            "at": (numbers * 432_000).cast(pl.Datetime("us", "UTC")),
        }
    )


@pytest.mark.parametrize("each", [3, 1000])
def test_the_same_table_is_parted_into_the_same_bytes(tmp_path: Path, each: int) -> None:
    frame, refused = large(), rejected(list(range(0, 200_000, each)))
    found: list[dict[Any, str]] = []
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        _, put_aside = parted(frame, refused, folder)
        assert restored(folder, put_aside).equals(frame)
        files = list(folder.rglob("*.parquet"))
        digests = {path.relative_to(folder): hashlib.md5(path.read_bytes()).hexdigest() for path in files}
        assert len(digests) == 4
        found.append(digests)
    assert found[0] == found[1] == found[2]


def test_large_tables_are_given_back_in_order(tmp_path: Path) -> None:
    frame = large()
    _, put_aside = parted(frame, rejected([0, 1, 99_999, 199_998, 199_999]), tmp_path)
    assert restored(tmp_path, put_aside).equals(frame)
