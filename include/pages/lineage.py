"""The way of a version, from the bytes that it learned from to the replicas that answer with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from include.history.log import CHAMPIONS, Entry
from include.pages.registry import Registered
from include.pages.replicas import Replica
from include.pages.site import DASH, who
from include.pages.versions import Row

SHORT = 12  # characters of an id that are shown


@dataclass(frozen=True)
class Step:
    """One stop on the way. ``page``: where it is shown, below the use case; ``state``: good, bad, or neither."""

    what: str
    name: str
    told: str = ""
    page: str = ""
    address: str = ""
    state: str = ""
    full: str = ""


def steps(row: Row, registered: Registered | None, serving: Sequence[Replica], mlflow: str) -> tuple[Step, ...]:
    """From left to right; what MLflow does not tell (None) is missing."""
    return (*(_made(registered, mlflow) if registered else ()), *_decided(row), _served(row, serving))


def _made(found: Registered, mlflow: str) -> Iterator[Step]:
    tags = found.tags
    span, day = f"{tags.get('first', '?')} to {tags.get('last', '?')}", tags.get("last")
    yield _identity("Data revision", tags.get("data_revision", ""), span, f"data/{day}" if day else "")
    features = f"{len(found.features)} features"
    yield _identity("Feature definitions", tags.get("definition_hash", ""), features, "features")
    yield _identity("Training set", tags.get("training_set", ""), f"as of {tags.get('as_of', '?')[:16]}")
    code = tags.get("code_revision", "")
    yield _identity("Code", code, "with uncommitted changes" if code.endswith("-dirty") else "")
    run = _identity("MLflow run", found.run_id, tags.get("reason", ""))
    yield replace(run, address=f"{mlflow}/#/runs/{found.run_id}")


def _identity(what: str, identity: str, told: str, page: str = "") -> Step:
    return Step(what, identity[:SHORT] or DASH, told, page, full=identity)


def _decided(row: Row) -> Iterator[Step]:
    card = f"cards/{row.version}" if row.card else ""
    yield Step("Version", str(row.version), "model card" if card else "without a card", card)
    if row.gate:
        failed = len(row.failed)
        told = f"{failed} of {len(row.checks)} checks failed" if failed else f"all {len(row.checks)} checks passed"
        yield Step("Gate", row.gate.outcome, told, _entry(row.gate), state="bad" if failed else "good")
    oldest_first = row.decisions[::-1]
    for entry in (each for each in oldest_first if each.kind == "approval"):
        yield Step(
            "Approval", entry.outcome, who(entry.actor), _entry(entry), state=_state(entry.outcome == "approved")
        )
    changed = [each for each in oldest_first if each.kind in ("promotion", "rollback")]
    if changed:
        last = changed[-1]
        told = f"{last.at[:16].replace('T', ' ')} UTC, {who(last.actor or last.origin)}"
        yield Step("Production", last.outcome, told, _entry(last), state=_state(last.outcome in CHAMPIONS))


def _served(row: Row, serving: Sequence[Replica]) -> Step:
    """How many replicas answer with it."""
    own = [each for each in serving if row.version in (each.version, each.challenger)]
    told = "; ".join(each.problem for each in serving if each.problem)
    state = "good" if own and len(own) == len(serving) else "bad" if row.role == "champion" else ""
    return Step("Serving", f"{len(own)} of {len(serving)} replicas", told or row.role, state=state)


def _entry(entry: Entry) -> str:
    return f"history?until={entry.sequence}#entry-{entry.sequence}"


def _state(good: bool) -> str:
    return "good" if good else "bad"
