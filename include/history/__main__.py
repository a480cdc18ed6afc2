"""Tells which version was in production when, and why: ``python -m include.history flight_delay --on 2026-11-21``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, tzinfo

from include.contract.loading import UseCaseError, load_use_case
from include.gate.check import Check
from include.history import log
from include.history.chain import Head
from include.history.chained_file import HistoryError
from include.history.log import Entry
from include.history.production import Period, asked_for, checks, in_production, periods

WIDEST = 60  # characters of a reason in the table
HEADER = ("version", "since", "until", "how", "by", "why")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was in production, or with ``--on`` what was on a day; with ``--verify`` check the log first."""
    options = _parser().parse_args(arguments)
    try:
        config = load_use_case(options.use_case).config
        name, zone = config.name, config.calendar.zone
        anchor = Head.parse(options.anchor) if options.anchor else _anchored(name) if options.verify else None
        when = asked_for(options.on, zone, datetime.now(UTC)) if options.on else None
        if (options.verify or options.anchor) and (problems := _problems(name, anchor)):
            sys.stderr.write("".join(f"{name}: {_plain(problem)}\n" for problem in problems))
            return 1
        found = periods(log.read(name))
        shown = found if when is None else in_production(found, when, zone)
        lines = _as_json(name, options.on, shown) if options.json else _in_words(name, shown, when, zone)
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        if options.verify or options.anchor:
            sys.stderr.write(f"{name}: the log is intact; its head: {log.head(name) or 'none, nothing was decided'}\n")
    except (UseCaseError, HistoryError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _problems(name: str, anchor: Head | None) -> tuple[str, ...]:
    """What is wrong with the log of decisions, and with the ledger of what was put in production."""
    from include.deployment import ledger

    put = (f"deployments: line {number}: {problem}" for number, problem in ledger.verify(name).items())
    return (*log.verify(name, anchor), *put)


def _anchored(name: str) -> Head | None:
    """The head that the registry keeps; None, and a line that says so, where there is none to be had."""
    from include.deployment import published
    from include.registry.client import RegistryUnavailable

    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # a registry that is down is told at once
    try:
        text = published.read_anchor(name)
    except RegistryUnavailable as error:
        sys.stderr.write(f"{name}: not compared with the head in the registry: {error}\n")
        return None
    return Head.parse(text) if text else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.history", description=__doc__)
    parser.add_argument("use_case")
    parser.add_argument("--on", metavar="DAY", help="2026-11-21 or 2026-11-21T10:00 in the use case's time zone")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="check that no entry of the log, or of the ledger of deployments, was changed or removed",
    )
    parser.add_argument("--anchor", metavar="HEAD", help="check against a head of the log that was kept elsewhere")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")
    return parser


def _in_words(name: str, shown: Sequence[Period], when: date | datetime | None, zone: tzinfo) -> Iterator[str]:
    if shown:
        yield from _table(shown, zone) if when is None else _answer(shown, when, zone)
    else:
        yield f"{name}: no version was in production {'yet' if when is None else f'on {_asked(when, zone)}'}"


def _table(found: Sequence[Period], zone: tzinfo) -> Iterator[str]:
    """All periods, one a line, the oldest first."""
    rows = [HEADER, *(_row(each, zone) for each in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(period: Period, zone: tzinfo) -> tuple[str, ...]:
    why = _plain(period.began.note or "; ".join(period.began.reasons))
    return (
        str(period.version),
        _told(period.since, zone),
        _told(period.until, zone) if period.until else "now",
        period.how,
        _plain(period.by),
        why if len(why) <= WIDEST else f"{why[: WIDEST - 1]}…",
    )


def _answer(found: Sequence[Period], when: date | datetime, zone: tzinfo) -> Iterator[str]:
    """Everything that is known of the periods of a day."""
    versions = ", then ".join(str(each.version) for each in found)
    yield f"{_asked(when, zone)}: version {versions}"
    for each in found:
        until = _told(each.until, zone) if each.until else "now"
        yield ""
        yield f"version {each.version}, {_told(each.since, zone)} to {until}"
        yield from _decided(each.how, each.began, zone)
        if each.approval:
            yield from _decided(f"approval: {each.approval.outcome}", each.approval, zone)
        if each.gate:
            yield from _decided(f"gate: {each.gate.outcome}", each.gate, zone)
        if each.ended:
            yield from _decided(f"ended: version {each.ended.version} {each.ended.outcome}", each.ended, zone)


def _decided(what: str, entry: Entry, zone: tzinfo) -> Iterator[str]:
    by = f" by {entry.actor}" if entry.actor else ""
    yield f"  {_plain(f'{what} {_told(entry.moment, zone)}{by} in {entry.origin}, entry {entry.sequence}')}"
    judged = checks(entry) if entry.kind == "gate" else ()
    yield from (f"    {_judged(check)}" for check in judged)
    if not judged:
        yield from (f"    because {_plain(reason)}" for reason in entry.reasons)
    if entry.note:
        yield f"    note: {_plain(entry.note)}"
    if entry.evidence:
        yield f"    evidence: {_plain(', '.join(entry.evidence))}"


def _judged(check: Check) -> str:
    known = {"value": check.value, "limit": check.limit}
    numbers = ", ".join(f"{what} {number:.6g}" for what, number in known.items() if number is not None)
    verdict = "passed" if check.passed else "FAILED"
    return _plain(f"{verdict} {check.name}{f' ({numbers})' if numbers else ''}: {check.reason}")


def _as_json(name: str, on: str | None, shown: Sequence[Period]) -> Iterator[str]:
    found = [{**each.to_dict(), "how": each.how, "by": each.by} for each in shown]
    yield json.dumps({"use_case": name, "on": on, "periods": found}, indent=1)


def _asked(when: date | datetime, zone: tzinfo) -> str:
    return f"{_told(when, zone) if isinstance(when, datetime) else when.isoformat()} {zone}"


def _told(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _plain(text: str) -> str:
    """Text of others on one line, without what a terminal would obey."""
    return "".join(each if each.isprintable() else " " for each in text)


if __name__ == "__main__":
    sys.exit(main())
