"""Proposes an ``expectations.py`` from data: a starting point that a person reviews."""

from __future__ import annotations

import argparse
import math
import re
import sys
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from include.contract.authoring import NotThereYet
from include.contract.loading import Folder, UseCaseError, load_use_case
from include.files import replacing
from include.ingestion import versions
from include.ingestion.batch import PROFILE, read_profiles
from include.ingestion.layout import WIDTH, bracketed, call, number, text
from include.ingestion.profile import ColumnProfile, TableProfile, profile

FILE = "expectations.proposed.py"
PARTITIONS = 28
FEW = 30  # values that a person can look through
LONGEST = 100  # characters of such a value
REPEATED = 5  # rows per value: text that comes again less often has no fixed set of values
ENOUGH_FOR_KEY = 100  # rows beside another: fewer may differ by chance
TEXT = ("String", "Categorical", "Enum")
DIFFER_BY_CHANCE = ("Float32", "Float64", "Boolean")

HEAD = '''"""Proposed expectations of {use_case}: a starting point. Review every line before it is used.

{seen}

Bounds of numbers: what was seen, widened by its whole span on either side and rounded outwards; nothing goes below 0
that never did. Keys of several columns and rules between columns are not in a profile: add what is known of them.
"""

from __future__ import annotations

from typing import Any

from include.contract.authoring import Batch
from include.ingestion import expect

BATCH, ROW, WARN = ({{"severity": severity}} for severity in ("batch", "row", "warn"))


def suites(batch: Batch) -> dict[str, list[Any]]:
    """The expectations of each raw table."""
{suites}
'''

FUNCTION = """

def {function}(batch: Batch) -> list[Any]:
    import great_expectations.expectations as gxe

    return [
{expectations}
    ]
"""


class ProposalError(Exception):
    """Why nothing can be proposed, and the cure."""


def propose(use_case: str, profiles: Mapping[str, Sequence[TableProfile]]) -> str:
    """The text of an ``expectations.py`` that the profiled partitions pass, from their profiles by table."""
    seen = ", ".join(
        f"{sum(each.rows for each in tables)} rows of {_function_name(name)[1:]} in {len(tables)} partitions"
        for name, tables in profiles.items()
    )
    functions = _function_names(profiles)
    entries = [f"{text(name)}: {function}(batch)" for name, function in functions.items()]
    suites = bracketed("return {", entries, "}", indent=4)
    head = HEAD.format(use_case=use_case, seen=textwrap.fill(f"Proposed from {seen}.", WIDTH), suites=suites)
    bodies = {
        function: "\n".join(_expectations(name, [each for each in profiles[name] if each.rows] or profiles[name]))
        for name, function in functions.items()
    }
    return head + "".join(FUNCTION.format(function=name, expectations=body) for name, body in bodies.items())


def _function_names(tables: Mapping[str, object]) -> dict[str, str]:
    """A private function's name by table, each another one."""
    names: dict[str, str] = {}
    for table in tables:
        name = _function_name(table)
        names[table] = name if name not in names.values() else f"{name}_{len(names) + 1}"
    return names


def _function_name(table: str) -> str:
    return "_" + re.sub(r"\W+", "_", table, flags=re.ASCII).strip("_").lower()


def _expectations(table: str, profiles: Sequence[TableProfile]) -> list[str]:
    """The lines of one table; a column counts where every partition has it."""
    columns = {
        name: [each.columns[name] for each in profiles]
        for name in (profiles[-1].columns if profiles else ())
        if all(name in each.columns for each in profiles)
    }
    rows = [each.rows for each in profiles]
    keys = {name for name, seen in columns.items() if _is_key(seen, rows)}
    lines = [
        call("gxe.ExpectTableColumnsToMatchSet", "BATCH", column_set=list(map(text, columns)), exact_match="False"),
        call("expect.usual_row_count", "WARN", "batch", text(table)),
    ]
    lines += [_on_column("ToBeUnique", "BATCH", name) for name in columns if name in keys]
    if any(rows):
        never_null = [name for name, seen in columns.items() if not any(each.nulls for each in seen)]
        lines += [_on_column("ToNotBeNull", "ROW", name) for name in never_null]
    for name, seen in columns.items():
        if values := _few_values(seen):
            lines.append(_on_column("ToBeInSet", "WARN", name, value_set=list(map(text, values))))
        elif name not in keys and (bounds := _bounds(seen)):
            low, high = map(number, bounds)
            lines.append(_on_column("ToBeBetween", "ROW", name, min_value=low, max_value=high))
    return lines


def _is_key(seen: Sequence[ColumnProfile], rows: Sequence[int]) -> bool:
    """Whether no value comes twice in any partition, in a type and a number of rows where that is no chance."""
    if seen[-1].dtype in DIFFER_BY_CHANCE or sum(count - 1 for count in rows) < ENOUGH_FOR_KEY:
        return False
    return all(each.distinct == count and not each.nulls for each, count in zip(seen, rows, strict=True))


def _few_values(seen: Sequence[ColumnProfile]) -> list[str]:
    """The values of a text column, in order; none where they are many or hardly come again."""
    counts: Counter[str] = Counter()
    for each in seen:
        if each.categories is None or each.dtype not in TEXT:
            return []
        counts.update(each.categories)
    if (
        len(counts) > FEW
        or counts.total() < REPEATED * len(counts)
        or any(len(text(each)) > LONGEST for each in counts)
    ):
        return []
    return sorted(counts)


def _bounds(seen: Sequence[ColumnProfile]) -> tuple[float, float] | None:
    """What was seen, widened by its span on either side and rounded outwards to the leading digit of the span."""
    lows = [each.minimum for each in seen if each.minimum is not None]
    highs = [each.maximum for each in seen if each.maximum is not None]
    if not lows or not highs:
        return None
    low, high = min(lows), max(highs)
    span = high - low or abs(high) or 1.0
    if not 1e-300 < span < 1e300:
        return None
    exponent = math.floor(math.log10(span))
    step = 10.0**exponent
    wide_low, wide_high = math.floor((low - span) / step) * step, math.ceil((high + span) / step) * step
    return (max(0.0, round(wide_low, -exponent)) if low >= 0 else round(wide_low, -exponent)), round(
        wide_high, -exponent
    )


def _on_column(expectation: str, severity: str, column: str, **arguments: str | list[str]) -> str:
    return call(f"gxe.ExpectColumnValues{expectation}", severity, column=text(column), **arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the proposal beside the use case's ``expectations.py``, which is left as it is."""
    parser = argparse.ArgumentParser(prog="python -m include.ingestion.propose", description=__doc__)
    parser.add_argument("use_case")
    parser.add_argument("--first", metavar="KEY", help="read the source from this partition on")
    parser.add_argument("--last", metavar="KEY", help=f"up to this one; without it: {PARTITIONS} partitions")
    options = parser.parse_args(arguments)
    try:
        use_case = load_use_case(options.use_case)
        profiles = _profiles(use_case, options.first, options.last)
    except (UseCaseError, ProposalError, versions.VersionError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    with replacing(use_case.path / FILE) as temporary:
        temporary.write_text(propose(use_case.config.name, profiles), encoding="utf-8")
    sys.stdout.write(f"{use_case.path / FILE}\nNext: review it, and take what holds into expectations.py beside it.\n")
    return 0


def _profiles(use_case: Folder, first: str | None, last: str | None) -> dict[str, list[TableProfile]]:
    """The profiles by table: of the newest published partitions, or of what the source has from ``first`` on."""
    partitions = _from_source(use_case, first, last) if first or last else _published(use_case.config.name)
    profiles: dict[str, list[TableProfile]] = defaultdict(list)
    for tables in partitions:
        for name, each in tables.items():
            profiles[name].append(each)
    if not profiles:
        raise ProposalError(
            f"{use_case.config.name}: no partitions to learn from; name some that the source has with "
            "--first KEY --last KEY"
        )
    return profiles


def _published(use_case: str) -> Iterator[dict[str, TableProfile]]:
    """The profiles that were kept with the newest published partitions."""
    revision = versions.head_or_none()
    keys = versions.keys(use_case, revision)[-PARTITIONS:] if revision else []
    if revision and keys:
        for files in versions.files(use_case, revision, keys).values():
            yield read_profiles(files[PROFILE])


def _from_source(use_case: Folder, first: str | None, last: str | None) -> Iterator[dict[str, TableProfile]]:
    """What the source delivers for the named partitions, up to the first that is not there yet."""
    calendar = use_case.config.calendar
    if first is None:
        raise ProposalError("--last needs --first: from which partition on is the source read?")
    try:
        start = calendar.partition(first)
        partitions = calendar.span(start, calendar.partition(last) if last else calendar.shift(start, PARTITIONS - 1))
    except ValueError as error:
        raise ProposalError(str(error)) from error
    for count, partition in enumerate(partitions, 1):
        try:
            tables = use_case.source.read(partition)
        except NotThereYet as error:
            sys.stdout.write(f"{error}: read up to the one before\n")
            return
        sys.stdout.write(f"read {partition.key} ({count} of {len(partitions)})\n")
        sys.stdout.flush()
        yield {name: profile(name, frame.lazy()) for name, frame in tables.items()}


if __name__ == "__main__":
    sys.exit(main())
