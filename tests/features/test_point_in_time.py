"""The join itself: against its definition on random data, and the corners that random data misses."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.features.offline.point_in_time import AsOf, values_as_of

START = datetime(2024, 1, 1, tzinfo=UTC)
TIME = pl.Datetime("us", "UTC")
Row = tuple[Any, ...]


def at(minute: int | None) -> datetime | None:
    return None if minute is None else START + timedelta(minutes=minute)


def entity_frame(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame([(a, b, at(t)) for a, b, t in rows], {"a": pl.Int64, "b": pl.String, "t": TIME}, orient="row")


def feature_frame(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(
        [(a, b, at(event), at(created), i) for i, (a, b, event, created) in enumerate(rows)],
        {"a": pl.Int64, "b": pl.String, "event": TIME, "created": TIME, "value": pl.Int64},
        orient="row",
    )


def rule(**changes: Any) -> AsOf:
    given_rule: dict[str, Any] = {
        "name": "view",
        "keys": (("a", "a"), ("b", "b")),
        "entity_time": "t",
        "event_time": "event",
        "created_time": "created",
    }
    return AsOf(**(given_rule | changes))


def defined(entity: Row, features: list[Row], *, keys: int, ttl: int | None, created: str) -> int | None:
    """The definition, row by row: the index of the last row with the greatest (event, created) known at t."""
    *key, t = entity
    key = key[:keys]
    best: tuple[Any, ...] | None = None
    for i, (*other, event, made) in enumerate(features):
        if t is None or event is None or None in key or key != other[:keys]:
            continue
        if event > t or (ttl is not None and event < t - ttl):
            continue
        if created == "excluded after" and (made is None or made > t):
            continue
        # Without the column nothing breaks a tie but the order; an unknown time loses to any known one.
        order = (event, i) if created == "no column" else (event, made is not None, made or 0, i)
        if best is None or order > best:
            best = order
    return None if best is None else best[-1]


# Few keys and times in enough rows, so that ties, overtaking late rows and expired values are common.
minutes = st.sampled_from([0, 1, 2, 3, 4, 5, 6, None])
keys_a, keys_b = st.sampled_from([1, 2, 1, 2, None]), st.sampled_from(["x", "y", "x", "y", None])


@pytest.mark.parametrize("created", ["excluded after", "breaks ties", "no column"])
@settings(max_examples=150, deadline=None)
@given(
    entities=st.lists(st.tuples(keys_a, keys_b, minutes), min_size=3, max_size=6),
    features=st.lists(st.tuples(keys_a, keys_b, minutes, minutes), min_size=6, max_size=12),
    keys=st.integers(0, 2),
    ttl=st.sampled_from([None, 0, 1, 2, 4]),
    parts=st.sampled_from([1, 2, 7]),
)
@example(entities=[], features=[], keys=1, ttl=None, parts=1)
@example(entities=[(1, "x", 5)], features=[], keys=1, ttl=None, parts=2)
@example(entities=[], features=[(1, "x", 5, 5)], keys=1, ttl=None, parts=2)
@example(entities=[], features=[(1, "x", 5, 5)], keys=0, ttl=None, parts=2)
def test_every_answer_is_the_one_the_definition_gives_in_any_number_of_parts(
    entities: list[Row], features: list[Row], keys: int, ttl: int | None, parts: int, created: str
) -> None:
    found = values_as_of(
        entity_frame(entities),
        feature_frame(features).lazy(),
        rule(
            keys=(("a", "a"), ("b", "b"))[:keys],
            ttl=None if ttl is None else timedelta(minutes=ttl),
            created_time=None if created == "no column" else "created",
            exclude_created_after=created == "excluded after",
        ),
        {"value": "value"},
        parts,
    )
    expected = [defined(entity, features, keys=keys, ttl=ttl, created=created) for entity in entities]
    assert found["value"].to_list() == expected


def joined(entities: pl.DataFrame, features: pl.DataFrame, **changes: Any) -> list[Any]:
    changes = {"keys": (("a", "a"),), "created_time": None} | changes
    return values_as_of(entities, features.lazy(), rule(**changes), {"value": "value"})["value"].to_list()


def test_a_late_row_of_an_old_event_does_not_replace_a_newer_one_already_seen() -> None:
    features = feature_frame([(1, "x", 2, 2), (1, "x", 1, 3)])
    assert joined(entity_frame([(1, "x", 5)]), features, created_time="created") == [0]


def test_a_newer_event_created_too_late_gives_way_to_the_older_event_known_in_time() -> None:
    features = feature_frame([(1, "x", 1, 1), (1, "x", 3, 9)])
    assert joined(entity_frame([(1, "x", 5), (1, "x", 9)]), features, created_time="created") == [0, 1]


def test_a_row_created_before_its_event_is_not_seen_before_its_event() -> None:
    features = feature_frame([(1, "x", 1, 2), (1, "x", 4, 0)])
    entities = entity_frame([(1, "x", 1), (1, "x", 3), (1, "x", 4)])
    assert joined(entities, features, created_time="created") == [None, 0, 1]


def test_the_late_rows_of_one_key_do_not_decide_for_another() -> None:
    features = feature_frame([(1, "x", 1, 2), (2, "x", 3, 3), (1, "x", 2, 4)])
    entities = entity_frame([(1, "x", 3), (2, "x", 4), (1, "x", 5)])
    assert joined(entities, features, created_time="created") == [0, 1, 2]


def test_ttl_is_measured_at_the_event_and_not_at_its_late_creation() -> None:
    features = feature_frame([(1, "x", 1, 4)])
    found = joined(entity_frame([(1, "x", 4)]), features, created_time="created", ttl=timedelta(minutes=2))
    assert found == [None]


@pytest.mark.parametrize("entity_unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("source_unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_units_and_zones_compare_as_instants(entity_unit: str, source_unit: str, zone: str | None) -> None:
    entities = entity_frame([(1, "x", 2), (1, "x", 3)]).cast({"t": pl.Datetime(entity_unit, "UTC")})  # type: ignore[arg-type]
    features = feature_frame([(1, "x", 3, 3)]).cast({"event": pl.Datetime(source_unit, "UTC")})  # type: ignore[arg-type]
    event = pl.col("event").dt
    features = features.with_columns(event.convert_time_zone(zone) if zone else event.replace_time_zone(None))
    assert joined(entities, features, ttl=timedelta(0)) == [None, 0]


def test_nanoseconds_decide() -> None:
    t = pl.Series("t", [1_000, 1_500, 1_501], pl.Int64).cast(pl.Datetime("ns", "UTC"))
    event = pl.Series("event", [1_501], pl.Int64).cast(pl.Datetime("ns", "UTC"))
    entities, features = (
        pl.DataFrame({"a": [1, 1, 1], "t": t}),
        pl.DataFrame({"a": 1, "event": event, "value": 7}),
    )
    assert joined(entities, features) == [None, None, 7]
    in_microseconds = features.with_columns(pl.Series([1], dtype=pl.Int64).cast(TIME).alias("event"))
    assert joined(entities, in_microseconds, ttl=timedelta(0)) == [7, None, None]


def test_the_year_9999_is_the_far_future_also_beside_nanoseconds() -> None:
    far = datetime(9999, 12, 31, tzinfo=UTC)
    nano = pl.Series("t", [1_704_067_200_000_000_001], pl.Int64).cast(pl.Datetime("ns", "UTC"))
    features = pl.DataFrame({"a": [1, 1], "event": [far, START], "value": [1, 2]}, schema_overrides={"event": TIME})
    assert joined(pl.DataFrame({"a": [1], "t": nano}), features) == [2]
    entities = pl.DataFrame({"a": [1], "t": [far]}, schema_overrides={"t": TIME})
    past = pl.DataFrame({"a": [1], "event": nano, "value": [3]})
    assert joined(entities, past) == [3]
    assert joined(entities, past, ttl=timedelta.max) == [3]


def test_a_date_is_its_midnight() -> None:
    features = pl.DataFrame({"a": [1], "event": [date(2024, 1, 1)], "value": [7]})
    assert joined(entity_frame([(1, "x", -1), (1, "x", 0)]), features) == [None, 7]


def test_keys_of_different_widths_compare_by_value() -> None:
    features = feature_frame([(1, "x", 0, 0), (2, "x", 0, 0)]).cast({"a": pl.Int16})
    assert joined(entity_frame([(2, "x", 1), (70_000, "x", 1)]), features) == [1, None]


def test_a_float_key_beside_an_integer_key_matches_whole_numbers_only() -> None:
    entities = entity_frame([(1, "x", 1)] * 3).with_columns(a=pl.Series([2.0, 1.5, float("nan")]))
    features = feature_frame([(1, "x", 0, 0), (2, "x", 0, 0)])
    assert joined(entities, features) == [1, None, None]
    nan_in_both = features.with_columns(a=pl.Series([float("nan"), 2.0]))
    assert joined(entities, nan_in_both) == [1, None, None]


def test_a_float_key_too_large_to_be_exact_is_refused() -> None:
    entities = entity_frame([(1, "x", 1)]).with_columns(a=pl.lit(2.0**53))
    with pytest.raises(ValueError, match=r"view: key a holds 9007199254740992\.0 as Float64: not exact"):
        joined(entities, feature_frame([(1, "x", 0, 0)]))


def test_category_keys_equal_strings() -> None:
    entities = entity_frame([(1, "y", 1)]).cast({"b": pl.Categorical})
    features = feature_frame([(1, "x", 0, 0), (1, "y", 0, 0)])
    assert joined(entities, features, keys=(("b", "b"),)) == [1]


def test_keys_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(TypeError, match="view: entity column b is String but the source's key a is Int64"):
        joined(entity_frame([(1, "x", 1)]), feature_frame([]), keys=(("b", "a"),))


def test_a_column_of_no_times_is_refused() -> None:
    with pytest.raises(TypeError, match="view: column value must hold times, but is Int64"):
        joined(entity_frame([(1, "x", 1)]), feature_frame([]), event_time="value")


def test_a_missing_column_is_named_with_those_that_are_there() -> None:
    with pytest.raises(ValueError, match="view: no column seen, made; there are a, b, event, created, value"):
        joined(entity_frame([(1, "x", 1)]), feature_frame([]), event_time="seen", created_time="made")


def test_a_key_that_is_null_throughout_matches_nothing() -> None:
    entities = entity_frame([(1, "x", 1)]).with_columns(a=pl.lit(None))
    assert joined(entities, feature_frame([(1, "x", 0, 0)])) == [None]


def test_no_entity_rows_give_no_rows_of_the_right_type() -> None:
    found = values_as_of(entity_frame([]), feature_frame([(1, "x", 0, 0)]).lazy(), rule(), {"out": "value"})
    assert found.schema == pl.Schema({"out": pl.Int64})
    assert found.is_empty()


def test_a_value_may_have_any_name_and_may_also_be_a_key_or_a_time() -> None:
    features = feature_frame([(1, "x", 0, 0)])
    values = {"row": "value", "k0": "a", "t": "event", "source": "value"}
    found = values_as_of(entity_frame([(1, "x", 1)]), features.lazy(), rule(), values)
    assert found.rows() == [(0, 1, START, 0)]


def test_a_new_york_summer_night_is_one_instant() -> None:
    local = datetime(2024, 7, 1, 20, tzinfo=ZoneInfo("America/New_York"))
    features = pl.DataFrame({"a": [1], "event": [local], "value": [7]})
    utc = pl.Series("t", [datetime(2024, 7, 1, 23, 59, tzinfo=UTC), datetime(2024, 7, 2, tzinfo=UTC)])
    assert joined(pl.DataFrame({"a": [1, 1], "t": utc}), features) == [None, 7]
