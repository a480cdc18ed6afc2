from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.contract.loading import Folder
from include.contract.partitions import Calendar, Partition
from include.files import write_json
from include.ingestion import layout, versions
from include.ingestion import propose as module
from include.ingestion.batch import PROFILE
from include.ingestion.profile import TableProfile, profile
from include.ingestion.propose import FILE, main, propose
from include.ingestion.validation import validate
from include.settings import get_settings

Failures = Callable[[pl.DataFrame], list[str]]

REPOSITORY = Path(__file__).parents[2]
CALENDAR = Calendar("daily", "UTC")
DAYS = CALENDAR.parse("2013-01-01/2013-01-22")


def orders(day: int, rows: int = 60) -> pl.DataFrame:
    """A day of orders; ``price`` is missing here and there, ``note`` and ``customer`` hold much text."""
    numbers = [day * rows + row for row in range(rows)]
    noon = datetime(2013, 1, 1, 12, tzinfo=UTC) + timedelta(days=day)
    return pl.DataFrame(
        {
            "order": numbers,
            "ordered_at": [noon + timedelta(minutes=number % 50) for number in numbers],
            "price": [None if number % 17 == 0 else 5.0 + number % 90 for number in numbers],
            "balance": [number % 7 - 3.5 for number in numbers],
            "pieces": [1 + number % 4 for number in numbers],
            "country": [("Österreich", 'the "Isles"', "FR")[number % 3] for number in numbers],
            "customer": [f"customer {number % 50}" for number in numbers],
            "paid": [number % 2 == 0 for number in numbers],
            "parts": [[number] for number in numbers],
        }
    )


FRAMES = [orders(day) for day in range(len(DAYS))]
PROFILES = [profile("orders", frame.lazy()) for frame in FRAMES]
TEXT = propose("shop", {"orders": PROFILES})


@dataclass(frozen=True)
class Checked:
    """A partition on its way in, with its past."""

    partition: Partition
    profiles: Sequence[TableProfile]

    def past(self, name: str) -> Sequence[tuple[Partition, TableProfile]]:
        return list(zip(DAYS, self.profiles, strict=False))[:-1]


def load(text: str) -> ModuleType:
    loaded = ModuleType("proposed")
    exec(compile(text, FILE, "exec"), loaded.__dict__)
    return loaded


@pytest.fixture
def failures(home: Path) -> Failures:
    """What the suite finds wrong with a day's orders."""

    def found(frame: pl.DataFrame) -> list[str]:
        file = home / "orders.parquet"
        frame.write_parquet(file)
        suites = load(TEXT).suites(Checked(DAYS[-1], PROFILES))
        checks = validate("2013-01-22", {"orders": file}, suites, limit=0.1).checks
        return [check.name.removeprefix("expect_") for check in checks if not check.success]

    return found


def test_the_proposal_names_what_it_is_from_and_what_to_do() -> None:
    assert TEXT.startswith('"""Proposed expectations of shop: a starting point. Review every line before it is used.')
    assert "Proposed from 1320 rows of orders in 22 partitions." in TEXT


def test_one_readable_line_per_expectation() -> None:
    for line in (
        'expect.usual_row_count(batch, "orders", meta=WARN),',
        'gxe.ExpectColumnValuesToBeUnique(column="order", meta=BATCH),',
        'gxe.ExpectColumnValuesToNotBeNull(column="ordered_at", meta=ROW),',
        'gxe.ExpectColumnValuesToBeBetween(column="price", min_value=0, max_value=190, meta=ROW),',
        'gxe.ExpectColumnValuesToBeBetween(column="balance", min_value=-10, max_value=9, meta=ROW),',
        'gxe.ExpectColumnValuesToBeBetween(column="pieces", min_value=0, max_value=7, meta=ROW),',
    ):
        assert f"        {line}\n" in TEXT
    assert 'column="country", value_set=["FR", \'the "Isles"\', "Österreich"], meta=WARN' in TEXT


def test_nothing_is_proposed_that_was_not_seen() -> None:
    assert 'NotBeNull(column="price"' not in TEXT
    for column in ("customer", "paid", "parts"):
        assert re.findall(rf'\w+\(column="{column}"', TEXT) == [f'ExpectColumnValuesToNotBeNull(column="{column}"']
    assert 'Between(column="order"' not in TEXT  # keys grow


def test_the_data_passes_what_was_proposed_from_it(failures: Failures) -> None:
    assert [failures(frame) for frame in FRAMES[::7]] == [[]] * 4


@pytest.mark.parametrize(
    ("planted", "expected"),
    [
        ({"price": 9000.0}, "column_values_to_be_between(price)"),
        ({"price": -1.0}, "column_values_to_be_between(price)"),
        ({"balance": -40.0}, "column_values_to_be_between(balance)"),
        ({"country": "XX"}, "column_values_to_be_in_set(country)"),
        ({"customer": None}, "column_values_to_not_be_null(customer)"),
        ({"ordered_at": None}, "column_values_to_not_be_null(ordered_at)"),
        ({"order": 1261}, "column_values_to_be_unique(order)"),
    ],
)
def test_a_bad_row_fails(planted: dict[str, Any], expected: str, failures: Failures) -> None:
    (name, value), frame = *planted.items(), orders(21)
    bad = pl.when(pl.int_range(pl.len()) == 30).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
    assert failures(frame.with_columns(bad)) == [expected]


def test_a_bad_table_fails(failures: Failures) -> None:
    assert failures(orders(21, rows=20)) == ["table_row_count_to_be_between"]
    assert "table_columns_to_match_set" in failures(orders(21).drop("paid"))


def test_rows_that_are_few_make_no_key() -> None:
    few = propose("shop", {"orders": [profile("orders", orders(0, rows=1).lazy())] * 200})
    assert "BeUnique" not in few
    doubled = [profile("orders", pl.concat([frame, frame.head(1)]).lazy()) for frame in FRAMES]
    assert "BeUnique" not in propose("shop", {"orders": [*PROFILES, doubled[0]]})


def test_tables_without_rows_or_with_odd_names() -> None:
    empty = profile("2 tables", orders(0).clear().lazy())
    names = ["2 tables", "2-tables", "class", "Ω"]
    text = propose("shop", {name: [empty] for name in names})
    functions = load(text).suites(Checked(DAYS[-1], []))
    assert list(functions) == names
    assert [len(suite) for suite in functions.values()] == [2] * 4
    assert is_formatted(text)


def is_formatted(text: str) -> bool:
    """Whether formatter and linter of the project leave the text as it is."""
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or "ruff"
    name = f"--stdin-filename={REPOSITORY / 'include' / 'use_cases' / 'shop' / 'expectations.py'}"
    for command in (["format", "--check"], ["check"]):
        done = subprocess.run([ruff, *command, name, "-"], input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(done.stdout + done.stderr)
    return max(map(len, text.splitlines())) <= 120


def test_the_text_is_formatted() -> None:
    wide = {
        f"a_long_name_of_a_column_{number}": [f"{'value ' * number}{row % 3}" for row in range(30)]
        for number in range(14)
    }
    assert is_formatted(TEXT)
    assert is_formatted(propose("shop", {"orders": PROFILES, "wide": [profile("wide", pl.LazyFrame(wide))]}))
    assert is_formatted(propose("shop", {f"a_table_of_the_shop_{number}": PROFILES for number in range(8)}))


@settings(max_examples=8, deadline=None)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=25, unique=True))
def test_any_value_is_written_as_a_literal(values: list[str]) -> None:
    frame = pl.LazyFrame({"value": values * 6})
    text = propose("shop", {"orders": [profile("orders", frame)]})
    assert is_formatted(text)
    (suite,) = load(text).suites(Checked(DAYS[-1], [])).values()
    assert suite[-1].value_set == sorted(values)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e250, 1e250), min_size=1, max_size=20))
def test_bounds_are_well_outside_what_was_seen(values: list[float]) -> None:
    seen = profile("orders", pl.LazyFrame({"value": values})).columns["value"]
    bounds = module._bounds([seen])
    if bounds:
        low, high = bounds
        span = max(values) - min(values)
        assert high >= max(values) + 0.99 * span
        assert low <= min(values) - 0.99 * span or (low == 0 and min(values) >= 0)
        assert [float(layout.number(each)) for each in bounds] == [low, high]


@pytest.fixture
def copied(stations: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A use case whose folder may be written to."""
    folder = tmp_path / "copies" / "station_temperature"
    shutil.copytree(stations.path, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("EVERGREEN_USE_CASE_PATHS", str(folder.parent))
    get_settings.cache_clear()
    return folder


def test_the_command_reads_the_source(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (copied / "expectations.py").read_bytes()
    assert main(["station_temperature", "--first", "2013-01-07", "--last", "2013-01-21"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[:3] == [f"read 2013-01-{day} ({number} of 3)" for number, day in ((1, "07"), (2, "14"), (3, "21"))]
    assert printed[3] == str(copied / FILE)
    assert printed[4].startswith("Next: review it")
    assert "rows of weather in 3 partitions" in (copied / FILE).read_text(encoding="utf-8")
    assert (copied / "expectations.py").read_bytes() == before


def test_the_command_takes_the_profiles_of_the_newest_partitions(copied: Path, tmp_path: Path) -> None:
    versions.initialize()
    known = {"weather": profile("weather", pl.LazyFrame({"temp": [1.0, 2.0]})).to_dict()}
    folders = {f"2013-01-{day:02}": tmp_path / f"{day}" for day in range(1, 31)}
    for folder in folders.values():
        folder.mkdir()
        write_json(folder / PROFILE, known)
    versions.publish("station_temperature", folders, "a month")
    assert main(["station_temperature"]) == 0
    assert "Proposed from 56 rows of weather in 28 partitions." in (copied / FILE).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["statoin"], "no use case is called 'statoin'; there are station_temperature"),
        (["station_temperature"], "name some that the source has with --first KEY --last KEY"),
        (["station_temperature", "--last", "2013-01-07"], "--last needs --first"),
        (["station_temperature", "--first", "2013-01-08"], "weeks start on Mondays"),
        (["station_temperature", "--first", "2013-01-14", "--last", "2013-01-07"], "ends (2013-01-07) before"),
    ],
)
def test_errors_are_one_line_with_the_cure(
    copied: Path, arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line
    assert not (copied / FILE).exists()
