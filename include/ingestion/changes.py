"""Names how a delivery differs from the recent past: its tables, columns, types, categories and units."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from statistics import median
from typing import Literal

from include.ingestion.profile import ColumnProfile, TableProfile
from include.records import Record

Kind = Literal[
    "new table", "gone table", "new column", "gone column", "renamed column", "retyped column", "new category",
    "unit change",
]  # fmt: skip
Profiles = Mapping[str, TableProfile]
Columns = Mapping[str, ColumnProfile]

SIMILAR_NULLS = 0.1  # the share of nulls differs by less from one day to the next, and by more between most columns
SIMILAR_VALUES = 0.5  # Jaccard index of two sets of categories: rare ones come and go
SIMILAR_SHARES = 0.2  # total variation distance of two categories' shares: tells two yes-or-no columns apart
ENOUGH_PAST = 5  # partitions: fewer do not show what is usual
USUAL_NOVELTY = 0.1  # new values expected in a partition: where one comes in ten partitions, it is no news
LISTED = 5
FACTORS = (10, 60, 100, 1000, 3600)  # decimal prefixes, per cent, seconds to minutes to hours
ENOUGH_VALUES = 30  # quartiles of fewer values move by themselves
SAME_FACTOR = math.log(2)  # how far a quartile's move may be from the factor: days differ by so much themselves
SAME_SPREAD = 5  # a factor leaves log(q75 / q25) as it is, an offset does not; days differ by less
ROBUST_DEVIATIONS = 6.0
USUAL_VARIATION = 0.15  # floor of the robust deviation of the log median: a calm past is short, not without variation
UNSEEN = math.log(3)  # every past log median is at least this far away: weekends and seasons have been seen before


@dataclass(frozen=True)
class Change(Record):
    """One difference, said so that a person understands it."""

    table: str
    kind: Kind
    column: str | None  # None for tables
    detail: str
    previous: str | None = None  # the old name of a renamed column, the old type of a retyped one


def compare(current: Profiles, past: Sequence[Profiles]) -> tuple[Change, ...]:
    """How the profiles of a partition, by table, differ from those of earlier ones, oldest first.

    Tables, columns and types are held against the newest past partition in which the table had rows, categories and
    units against all of them. Without a past there is no change.
    """
    if not past:
        return ()
    changes = list(_tables(current, past))
    for name, table in current.items():
        earlier = [partition[name] for partition in past if name in partition and partition[name].rows]
        if earlier:
            changes += _table(table, earlier)
    return tuple(changes)


def _tables(current: Profiles, past: Sequence[Profiles]) -> Iterator[Change]:
    known = {name for partition in past for name in partition}
    for name, table in current.items():
        if name not in known:
            detail = f"{name}: a table with {table.rows} rows that no earlier partition has"
            yield Change(name, "new table", None, detail)
    for name, table in past[-1].items():
        if name not in current:
            detail = f"{name}: the table is missing; it had {table.rows} rows in the partition before"
            yield Change(name, "gone table", None, detail)


def _table(table: TableProfile, earlier: Sequence[TableProfile]) -> Iterator[Change]:
    """The changes of one table; ``earlier`` holds its past profiles that have rows, at least one."""
    newest = earlier[-1].columns
    yield from _columns(table, newest)
    for name, column in table.columns.items():
        if name in newest and _retyped(column, newest[name]):
            detail = f"{name}: the type is {column.dtype}, before {newest[name].dtype}"
            yield Change(table.table, "retyped column", name, detail, newest[name].dtype)
            continue
        past = [each.columns[name] for each in earlier if name in each.columns]
        if news := _new_category(column, past):
            yield Change(table.table, "new category", name, f"{name}: {news}")
        if move := _unit_change(column, past):
            yield Change(table.table, "unit change", name, f"{name}: {move}")


def _columns(table: TableProfile, newest: Columns) -> Iterator[Change]:
    """Columns that came, went or got another name."""
    gone = {name: column for name, column in newest.items() if name not in table.columns}
    new = {name: column for name, column in table.columns.items() if name not in newest}
    renamed = _renamed(gone, new) if table.rows else {}
    for name, column in new.items():
        if name in renamed:
            detail = f"{name}: was called {renamed[name]} before: the type ({column.dtype}) and the values are alike"
            yield Change(table.table, "renamed column", name, detail, renamed[name])
        else:
            detail = f"{name}: a column ({column.dtype}) that was not there before"
            yield Change(table.table, "new column", name, detail)
    for name, column in gone.items():
        if name not in renamed.values():
            yield Change(table.table, "gone column", name, f"{name}: the column ({column.dtype}) is missing")


def _retyped(now: ColumnProfile, before: ColumnProfile) -> bool:
    """A column without any value has no type of its own."""
    return now.dtype != before.dtype and "Null" not in (now.dtype, before.dtype)


def _renamed(gone: Columns, new: Columns) -> dict[str, str]:
    """The old name by new name: the pairs that are most alike first, each column in one pair only."""
    pairs = [
        (_distance(gone[old], new[name]), -SequenceMatcher(None, old, name).ratio(), name, old)
        for old in gone
        for name in new
        if _alike(gone[old], new[name], _single(gone, old) and _single(new, name))
    ]
    found: dict[str, str] = {}
    for *_, name, old in sorted(pairs):
        if name not in found and old not in found.values():
            found[name] = old
    return found


def _single(columns: Columns, name: str) -> bool:
    """Whether no other of the columns has its type."""
    return sum(column.dtype == columns[name].dtype for column in columns.values()) == 1


def _alike(first: ColumnProfile, second: ColumnProfile, single: bool) -> bool:
    """Whether two columns may be one. What has neither numbers nor categories is alike only where nothing else is."""
    if first.dtype != second.dtype or max(first.nulls, second.nulls) == 1:
        return False
    if abs(first.nulls - second.nulls) > SIMILAR_NULLS:
        return False
    if first.measured is not None:
        return _overlap(first, second)
    one, other = _repeated(first), _repeated(second)
    if not one or not other:
        return single and one == other
    alike = len(one.keys() & other.keys()) >= SIMILAR_VALUES * len({*one, *other})
    return alike and _variation(one, other) <= SIMILAR_SHARES


def _repeated(column: ColumnProfile) -> Mapping[str, int]:
    """The categories; none where the values hardly come again, as those of a key in a small table."""
    counts = column.categories or {}
    return counts if sum(counts.values()) >= 2 * len(counts) else {}


def _overlap(first: ColumnProfile, second: ColumnProfile) -> bool:
    """Whether the middle halves of two number columns have a value in common."""
    if first.quartiles is None or second.quartiles is None:
        return False
    return max(first.quartiles[0], second.quartiles[0]) <= min(first.quartiles[2], second.quartiles[2])


def _variation(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """Total variation distance of the shares of categories, from 0 (equal) to 1 (nothing in common)."""
    rows, others = sum(one.values()), sum(other.values())
    return 0.5 * math.fsum(abs(one.get(value, 0) / rows - other.get(value, 0) / others) for value in {*one, *other})


def _distance(first: ColumnProfile, second: ColumnProfile) -> float:
    """How far apart two alike columns are: of the quartiles by their size, or of the categories' shares."""
    if first.quartiles and second.quartiles:
        pairs = list(zip(first.quartiles, second.quartiles, strict=True))
        return sum(abs(one - other) / max(one, other) for one, other in pairs) / len(pairs)
    one, other = _repeated(first), _repeated(second)
    return _variation(one, other) if one and other else 0.0


def _new_category(column: ColumnProfile, past: Sequence[ColumnProfile]) -> str | None:
    """What is said of values that no past partition has, where the column's values are few and come again."""
    if not column.categories or column.dtype == "Boolean" or len(past) < ENOUGH_PAST:
        return None
    counts = [earlier.categories for earlier in past if earlier.categories is not None]
    partitions = Counter(value for categories in counts for value in categories)
    # Good and Turing: the next partition holds as many unseen values as one past partition alone held, on average.
    novelty = sum(times == 1 for times in partitions.values()) / len(past)
    if len(counts) < len(past) or not partitions or novelty >= USUAL_NOVELTY:
        return None
    new = [f"{value!r} ({rows} rows)" for value, rows in column.categories.items() if value not in partitions]
    more = f" and {len(new) - LISTED} others" if len(new) > LISTED else ""
    listed = ", ".join(new[:LISTED]).replace("(1 rows)", "(1 row)")
    return f"none of the last {len(past)} partitions has {listed}{more}" if new else None


def _unit_change(column: ColumnProfile, past: Sequence[ColumnProfile]) -> str | None:
    """What is said of a column whose sizes have moved by one factor that lies between two units."""
    now = _sizes(column)
    earlier = [sizes for each in past if (sizes := _sizes(each))]
    if now is None or len(earlier) < ENOUGH_PAST:
        return None
    logs = [math.log(sizes[1]) for sizes in earlier]
    moves = [math.log(now[1]) - log for log in logs]
    move = median(moves)
    deviation = max(1.4826 * median(abs(log - median(logs)) for log in logs), USUAL_VARIATION)
    if abs(move) <= ROBUST_DEVIATIONS * deviation or min(map(abs, moves)) < UNSEEN:
        return None
    factor = min(FACTORS, key=lambda factor: abs(abs(move) - math.log(factor)))
    expected = math.copysign(math.log(factor), move)
    usual = tuple(map(median, zip(*earlier, strict=True)))
    spread = math.log(now[2] / now[0]) / math.log(usual[2] / usual[0])
    same = _moved(now, earlier[-1], expected) and _moved(now, usual, expected)
    if not same or not 1 / SAME_SPREAD <= spread <= SAME_SPREAD:
        return None
    times = f"{factor} times" if move > 0 else f"1/{factor} of"
    medians = f"median {now[1]:.4g}, before {earlier[-1][1]:.4g}"
    return f"values are {times} the usual ({medians}): has its unit changed?"


def _sizes(column: ColumnProfile) -> tuple[float, ...] | None:
    """The quartiles; None where the values are few or half of them are one value, which has no unit to be known by."""
    if column.quartiles is None or (column.measured or 0) < ENOUGH_VALUES:
        return None
    return column.quartiles if column.quartiles[0] < column.quartiles[2] else None


def _moved(now: Sequence[float], before: Sequence[float], expected: float) -> bool:
    """Whether each quartile is by about the expected logarithm away from what it was."""
    pairs = zip(now, before, strict=True)
    return all(abs(math.log(new) - math.log(old) - expected) <= SAME_FACTOR for new, old in pairs)
