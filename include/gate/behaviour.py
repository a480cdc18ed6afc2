"""Does a model behave as the author of the use case says that every model must?

The tests are those of the use case's ``behaviours.py`` (``include.contract.behaviours``), on rows of the test stretch.
A test that cannot be run has failed, with the error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from include.contract.authoring import Behaviours
from include.contract.behaviours import Behaviour, Direction, Example, Invariance
from include.gate.check import Check, not_computed
from include.records import Record

Vector = NDArray[np.float64]
Predict = Callable[[pl.DataFrame], Vector]

FILE = "behaviours.py"
MOST_ROWS = 2000
SHOWN = 4  # features of an example in words


@dataclass(frozen=True)
class Outcome(Record):
    """How a model did in one test. ``problem`` is what fails it whatever the single rows do: an error, mostly."""

    name: str
    kind: str
    rows: int  # that were judged
    failed: int
    least: float  # share of the rows that must behave
    worst: str  # of the failed rows, in words
    problem: str | None = None

    @property
    def passed(self) -> bool:
        return self.problem is None and self.rows > 0 and self.failed <= (1 - self.least) * self.rows + 1e-9


def examine(written: Behaviours | None, predict: Predict, rows: pl.DataFrame, *, seed: int = 0) -> tuple[Outcome, ...]:
    """Run the tests of a use case; none where it has no ``behaviours.py`` (``written`` is None).

    ``rows`` (rows, features) are the test stretch's in the columns that the model reads, of which at most ``MOST_ROWS``
    are drawn by the seed; ``predict`` takes such a frame and returns (rows,) probabilities or values.
    """
    if written is None:
        return ()
    sample = rows.sample(min(MOST_ROWS, rows.height), seed=seed)
    try:
        behaviours = list(written.behaviours(sample))
    except Exception as error:  # noqa: BLE001 - an author's function may raise anything: the test has failed
        return (_failed("behaviours", FILE, f"behaviours() raised {type(error).__name__}: {error}"),)
    if not behaviours:
        return (_failed("behaviours", FILE, "behaviours() returned no behaviour; take the file away, or write one"),)
    return tuple(_outcome(behaviour, predict, sample) for behaviour in behaviours)


def check(outcomes: Sequence[Outcome] | None) -> Iterator[Check]:
    """One check a test: the share of rows that behave is at least the one asked for."""
    if outcomes is None:
        yield not_computed("behaviours", None, f"the behaviours of {FILE}")
        return
    if not outcomes:
        yield Check("behaviours", True, None, None, f"the use case has no {FILE}: no behaviour is asked for")
    for outcome in outcomes:
        share = (outcome.rows - outcome.failed) / outcome.rows if outcome.rows else None
        words = [f"{outcome.rows - outcome.failed} of {outcome.rows} rows behave (at least {outcome.least:.0%})"]
        words = [outcome.problem] if outcome.problem else words
        words += [f"the worst: {outcome.worst}"] if outcome.failed else []
        said = f"{FILE}, {outcome.kind} {outcome.name!r}: {'; '.join(words)}"
        yield Check(f"behaviour: {outcome.name}", outcome.passed, share, outcome.least, said)


def _outcome(behaviour: Behaviour, predict: Predict, rows: pl.DataFrame) -> Outcome:
    if not isinstance(behaviour, Invariance | Direction | Example):
        found = f"expected an Invariance, a Direction or an Example, got {type(behaviour).__name__}"
        return _failed("behaviours", FILE, found)
    try:
        if isinstance(behaviour, Example):
            return _example(behaviour, predict, rows)
        return _changed(behaviour, predict, rows)
    except Exception as error:  # noqa: BLE001 - an author's function may raise anything: the test has failed
        return _failed(behaviour.name, _kind(behaviour), f"{type(error).__name__}: {error}")


def _changed(behaviour: Invariance | Direction, predict: Predict, rows: pl.DataFrame) -> Outcome:
    """Hold the predictions of the rows that change() changes beside those of the rows as they were."""
    kind, changed = _kind(behaviour), behaviour.change(rows)
    if not isinstance(changed, pl.DataFrame):
        raise TypeError(f"change() returned {type(changed).__name__}, expected a polars DataFrame")
    if changed.height != rows.height or set(changed.columns) != set(rows.columns):
        apart = ", ".join(sorted(set(changed.columns) ^ set(rows.columns)))
        raise ValueError(
            f"change() returned {changed.height} rows for {rows.height}"
            + (f", and not the columns of the rows: {apart}" if apart else "")
        )
    touched = pl.any_horizontal([changed[name].ne_missing(rows[name]).alias(name) for name in rows.columns])
    moved = rows.select(touched.alias("touched"))["touched"]
    before, after = rows.filter(moved), changed.filter(moved)
    if not before.height:
        return _failed(behaviour.name, kind, "change() changes no row")
    old, new = predict(before), predict(after)
    steps = new - old
    excess, problem = _excess(behaviour, steps)
    failed = ~(excess <= 0)  # NaN fails
    worst = int(np.argmax(np.where(np.isnan(excess), np.inf, excess)))
    said = f"{_difference(before, after, worst)}: prediction {old[worst]:.4g} becomes {new[worst]:.4g}"
    return Outcome(
        name=behaviour.name,
        kind=kind,
        rows=before.height,
        failed=int(failed.sum()),
        least=behaviour.share,
        worst=said if failed.any() else "",
        problem=problem,
    )


def _excess(behaviour: Invariance | Direction, steps: Vector) -> tuple[Vector, str | None]:
    """By how much each row misbehaves (at most 0: it does not), and what is wrong with all of them together."""
    if isinstance(behaviour, Invariance):
        return np.abs(steps) - behaviour.tolerance, None
    wanted = steps if behaviour.sign == "up" else -steps
    mean = float(np.mean(steps))
    right = mean > 0 if behaviour.sign == "up" else mean < 0
    return -wanted, None if right else f"the mean prediction moves by {mean:.4g}, not {behaviour.sign}"


def _example(behaviour: Example, predict: Predict, rows: pl.DataFrame) -> Outcome:
    given = (
        behaviour.rows
        if isinstance(behaviour.rows, pl.DataFrame)
        else pl.DataFrame(behaviour.rows, infer_schema_length=None, strict=False)
    )
    if unknown := [name for name in given.columns if name not in rows.columns]:
        raise ValueError(f"the model reads no feature {', '.join(unknown)}")
    absent = [pl.lit(None, rows.schema[name]).alias(name) for name in rows.columns if name not in given.columns]
    found = predict(given.with_columns(absent).select(rows.columns))
    excess = np.maximum(behaviour.low - found, found - behaviour.high)
    failed = ~(excess <= 0)
    worst = int(np.argmax(np.where(np.isnan(excess), np.inf, excess)))
    shown = ", ".join(f"{name} {_shown(given[name][worst])}" for name in given.columns[:SHOWN])
    said = f"{shown}: prediction {found[worst]:.4g}, expected {behaviour.low:g} to {behaviour.high:g}"
    return Outcome(behaviour.name, _kind(behaviour), len(found), int(failed.sum()), 1.0, said if failed.any() else "")


def _difference(before: pl.DataFrame, after: pl.DataFrame, row: int) -> str:
    """What was changed in a row, in words."""
    old, new = before.row(row, named=True), after.row(row, named=True)
    changed = [name for name in before.columns if old[name] != new[name]]
    said = ", ".join(f"{name} {_shown(old[name])} -> {_shown(new[name])}" for name in changed[:SHOWN])
    return said + (f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else "")


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else repr(value)


def _kind(behaviour: Behaviour) -> str:
    return type(behaviour).__name__.lower()


def _failed(name: str, kind: str, problem: str) -> Outcome:
    return Outcome(name, kind, 0, 0, 1.0, "", problem)
