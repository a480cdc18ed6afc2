"""Computing features apart gives the rows of computing them as a whole; the steps run in this process here."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.contract.loading import Folder
from include.features import pieces
from include.features.split import SplitError
from include.features.trial import trial
from include.ingestion import versions
from include.settings import get_settings
from tests.features import sales

DAYS = ["2013-01-01", "2013-01-02", "2013-01-03"]
ROWS = st.lists(
    st.tuples(
        st.sampled_from([None, *sales.SHOPS, "elsewhere"]),
        st.sampled_from([None, 1, 2, 3, 2**53 + 1]),
        st.sampled_from([None, 0.1, 0.2, 0.7, 1e16]),
        st.integers(0, 5),
    ),
    max_size=25,
)


@pytest.fixture
def shop(home: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("EVERGREEN_USE_CASE_PATHS", str(home / "use cases"))
    get_settings.cache_clear()
    versions.initialize()
    return sales.write(home)


def tables(day: str, rows: list[tuple[str | None, int | None, float | None, int]]) -> dict[str, pl.DataFrame]:
    """Sales within few minutes, so that many are at the same time."""
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    sold = [
        (f"{day}/{number}", shop, customer, amount, start + timedelta(minutes=minute))
        for number, (shop, customer, amount, minute) in enumerate(rows)
    ]
    return {"sales": pl.DataFrame(sold, sales.SALES, orient="row"), "shops": sales.shops()}


def some(day: str) -> dict[str, pl.DataFrame]:
    return tables(day, [(f"shop {n % 7}", n % 5 or None, n / 3, n % 4) for n in range(40)])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(days=st.lists(ROWS, min_size=1, max_size=3), parts=st.sampled_from([1, 2, 7]))
def test_the_parts_give_the_rows_of_the_whole(
    shop: Folder, days: list[list[tuple[str | None, int | None, float | None, int]]], parts: int
) -> None:
    keys = DAYS[-len(days) :]
    revision = sales.publish(shop, {key: tables(key, rows) for key, rows in zip(keys, days, strict=True)})
    use_case = sales.apart(shop, parts=parts)
    found = trial(use_case, use_case.config.calendar.partition(keys[-1]), revision)
    assert [each.view for each in found] == ["sale", "customer_history", "region_total", "labels"]
    assert all(each.equal for each in found), [str(each) for each in found]


def test_files_are_read_in_slices(shop: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.features.raw_tables.SLICE_ROWS", 7)
    revision = sales.publish(shop, {day: some(day) for day in DAYS})
    use_case = sales.apart(shop)
    found = trial(use_case, use_case.config.calendar.partition(DAYS[-1]), revision)
    assert all(each.equal for each in found), [str(each) for each in found]


def test_a_key_whose_type_has_changed_is_the_same_key(shop: Folder) -> None:
    days = {day: some(day) for day in DAYS}
    days[DAYS[0]]["sales"] = days[DAYS[0]]["sales"].with_columns(pl.col("customer").cast(pl.Int16))
    revision = sales.publish(shop, days)
    use_case = sales.apart(shop)
    found = trial(use_case, use_case.config.calendar.partition(DAYS[-1]), revision)
    assert all(each.equal for each in found), [str(each) for each in found]


def test_keys_that_cannot_be_compared_are_refused(shop: Folder) -> None:
    tables = some(DAYS[0])
    strange = tables["shops"].with_columns(customer=pl.struct(name="shop"))
    revision = sales.publish(shop, {DAYS[0]: {**tables, "shops": strange}})
    use_case = sales.apart(shop)
    with pytest.raises(SplitError, match=r"use_case\.yaml: engine\.split: values of .*customer.* are not comparable"):
        trial(use_case, use_case.config.calendar.partition(DAYS[0]), revision)


def test_nothing_is_left_of_the_parts(shop: Folder) -> None:
    revision = sales.publish(shop, {DAYS[0]: some(DAYS[0])})
    use_case = sales.apart(shop)
    trial(use_case, use_case.config.calendar.partition(DAYS[0]), revision)
    assert list((get_settings().work / "parted").iterdir()) == []
    assert not get_settings().offline_store.exists()


def test_a_feature_by_the_wrong_key_is_found(shop: Folder) -> None:
    revision = sales.publish(shop, {day: some(day) for day in DAYS})
    use_case = sales.apart(shop, split={**sales.SPLIT, "sale.customer_sales": ["shop"]})
    found = {each.view: each for each in trial(use_case, use_case.config.calendar.partition(DAYS[-1]), revision)}
    assert found["sale"].columns == ("customer_sales",)
    assert "differs in customer_sales" in str(found["sale"])
    assert found["customer_history"].equal


def test_an_entity_that_was_torn_apart_is_refused(shop: Folder) -> None:
    revision = sales.publish(shop, {day: some(day) for day in DAYS})
    use_case = sales.apart(shop, split={**sales.SPLIT, "customer_history": ["shop"]})
    with pytest.raises(SplitError, match=r"use_case\.yaml: engine\.split\.customer_history: \['shop'\]: .*several"):
        trial(use_case, use_case.config.calendar.partition(DAYS[-1]), revision)


def test_rows_of_a_table_that_is_seen_whole_come_from_every_part_and_are_refused(shop: Folder) -> None:
    file = shop.path / "features.py"
    file.write_text(file.read_text().replace('"region_total": region,', '"region_total": region_of(shops),'))
    file.write_text(
        f"{file.read_text()}\n\ndef region_of(shops):\n"
        '    return shops.group_by("region").agg(region_total=pl.len().cast(pl.Float64))\n'
    )
    revision = sales.publish(shop, {DAYS[0]: some(DAYS[0])})
    use_case = sales.apart(shop, split={**sales.SPLIT, "region_total": ["customer"]})
    with pytest.raises(SplitError, match=r"engine\.split\.region_total"):
        trial(use_case, use_case.config.calendar.partition(DAYS[0]), revision)


def test_a_feature_of_its_own_columns_needs_rows_that_differ(shop: Folder) -> None:
    twice = {name: pl.concat([frame, frame]) for name, frame in some(DAYS[0]).items() if name == "sales"}
    revision = sales.publish(shop, {DAYS[0]: {**some(DAYS[0]), **twice}})
    use_case = sales.apart(shop)
    with pytest.raises(SplitError, match=r"engine\.split\.sale\.customer_sales: .*tell the rows of the view apart"):
        trial(use_case, use_case.config.calendar.partition(DAYS[0]), revision)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sale": None}, r"engine\.split\.sale: missing; name the raw columns"),
        ({"sales": ["shop"]}, r"engine\.split\.sales: no view or view\.feature .* views are customer_history, region"),
        ({"sale.colour": ["shop"]}, r"engine\.split\.sale\.colour: no view or view\.feature"),
        (
            {"sale": ["region", "shop", "colour"]},
            r"engine\.split\.sale: no raw table has the columns region, shop",
        ),
    ],
)
def test_a_wrong_declaration_is_refused(shop: Folder, change: dict[str, list[str] | None], message: str) -> None:
    revision = sales.publish(shop, {DAYS[0]: some(DAYS[0])})
    split = {name: columns for name, columns in {**sales.SPLIT, **change}.items() if columns is not None}
    use_case = sales.apart(shop, split=split)
    with pytest.raises(SplitError, match=message):
        trial(use_case, use_case.config.calendar.partition(DAYS[0]), revision)


def test_a_view_that_is_not_declared_is_refused(shop: Folder) -> None:
    file = shop.path / "features.py"
    file.write_text(file.read_text().replace('"region_total": region,', '"region_total": region, "more": region,'))
    revision = sales.publish(shop, {DAYS[0]: some(DAYS[0])})
    use_case = sales.apart(shop)
    with pytest.raises(SplitError, match=r"engine\.split\.more: missing, and views\(\) returns it"):
        trial(use_case, use_case.config.calendar.partition(DAYS[0]), revision)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('"region_total": region,', "", r"features\.py: views\(\) returned .* without 'region_total'"),
        ('"region_total": region,', '"region_total": region.drop("region"),', r"'region_total' without the columns"),
        ('"since_last"]', "]", r"'sale' without the columns since_last"),
    ],
)
def test_views_that_lack_something_are_refused(shop: Folder, before: str, after: str, message: str) -> None:
    file = shop.path / "features.py"
    file.write_text(file.read_text().replace(before, after))
    revision = sales.publish(shop, {DAYS[0]: some(DAYS[0])})
    use_case = sales.apart(shop)
    with pytest.raises(ValueError, match=message):
        trial(use_case, use_case.config.calendar.partition(DAYS[0]), revision)


def test_parts_are_those_of_equal_values_in_their_order(tmp_path: Path) -> None:
    frames = [
        pl.DataFrame({"key": [3, None, 1, 3, 2] * 3000, "row": range(start, start + 15000)}) for start in (0, 15000)
    ]
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for frame, file in zip(frames, files, strict=True):
        pieces.write(frame, {"key": pl.Int64()}, 4, file)
    parts = [pieces.read(files, part) for part in range(4)]
    assert sorted(row for part in parts for row in part["row"]) == list(range(30000))
    assert all(part["row"].is_sorted() for part in parts)
    found = [set(part["key"].unique()) for part in parts]
    assert sum(map(len, found)) == len(set.union(*found)) == 4
    shutil.rmtree(tmp_path)
