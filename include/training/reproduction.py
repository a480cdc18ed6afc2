"""Was a model made again, and if not, why? A pure decision from what was recorded and what was rebuilt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from include.records import Record
from include.training.provenance import UNKNOWN, Environment, Provenance

TOLERANCE = 1e-6  # of a prediction, absolute: beyond the rounding of another processor's arithmetic

Outcome = Literal["identical", "within tolerance", "different"]
Kind = Literal["data", "code", "dependency", "nondeterminism"]


@dataclass(frozen=True)
class Cause(Record):
    """One reason for a difference."""

    kind: Kind
    detail: str


@dataclass(frozen=True)
class Rebuilt(Record):
    """What came out of making it again.

    ``commit`` is the code that did it; ``difference`` the largest absolute difference of a prediction on the rows of
    the test stretch, None where the rows are not the same; ``spread`` that between two fits of this rebuild.
    """

    commit: str
    environment: Environment
    partitions: Mapping[str, str]  # the hash of the bytes of each raw partition; one that is gone is absent
    definition_hash: str
    training_set: str
    digest: str
    difference: float | None
    spread: float


@dataclass(frozen=True)
class Reproduction(Record):
    """The verdict. ``causes`` explain a difference, or say what differed without consequence."""

    outcome: Outcome
    difference: float | None
    tolerance: float
    causes: tuple[Cause, ...]
    reasons: tuple[str, ...]


def judge(recorded: Provenance, digest: str, rebuilt: Rebuilt, tolerance: float = TOLERANCE) -> Reproduction:
    """Compare a rebuild with the version it was to make again; ``digest`` is that of the registered model's file."""
    causes = tuple(_causes(recorded, rebuilt))
    if rebuilt.difference == 0.0:
        same = "byte for byte the same model" if rebuilt.digest == digest else "the same predictions to the last bit"
        return Reproduction("identical", 0.0, tolerance, causes, (same,))
    if rebuilt.difference is not None and rebuilt.difference <= tolerance:
        reason = f"predictions differ by at most {rebuilt.difference:.3g}, within the tolerance of {tolerance:g}"
        return Reproduction("within tolerance", rebuilt.difference, tolerance, causes, (reason,))
    if not causes:
        causes = (Cause("nondeterminism", _restless(rebuilt)),)
    how = (
        "the rows of the test stretch are not the same"
        if rebuilt.difference is None
        else f"predictions differ by up to {rebuilt.difference:.3g}"
    )
    reasons = (how, *(f"{cause.kind}: {cause.detail}" for cause in causes))
    return Reproduction("different", rebuilt.difference, tolerance, causes, reasons)


def _causes(recorded: Provenance, rebuilt: Rebuilt) -> Iterator[Cause]:
    """What is not as it was, each kind at most once."""
    if detail := "; ".join(_code(recorded, rebuilt)):
        yield Cause("code", detail)
    if detail := "; ".join(_data(recorded, rebuilt)):
        yield Cause("data", detail)
    if detail := "; ".join(_environment(recorded.environment, rebuilt.environment)):
        yield Cause("dependency", detail)
    if rebuilt.spread > 0.0:
        yield Cause("nondeterminism", _restless(rebuilt))


def _code(recorded: Provenance, rebuilt: Rebuilt) -> Iterator[str]:
    if recorded.code.commit == UNKNOWN:
        yield "the version was trained outside a checkout, so its code is not known"
    elif recorded.code.changes:
        yield f"the version was trained with changes that were not committed on top of {recorded.code.commit[:12]}"
    elif rebuilt.commit != recorded.code.commit:
        yield f"rebuilt with commit {rebuilt.commit[:12]} instead of {recorded.code.commit[:12]}, which is not there"
    if rebuilt.definition_hash != recorded.definition_hash:
        yield f"features defined by {rebuilt.definition_hash[:12]} instead of {recorded.definition_hash[:12]}"


def _data(recorded: Provenance, rebuilt: Rebuilt) -> Iterator[str]:
    then = {key: partition.content for key, partition in recorded.partitions.items()}
    gone = sorted(then.keys() - rebuilt.partitions.keys())
    other = sorted(key for key, content in rebuilt.partitions.items() if key in then and then[key] != content)
    if gone:
        yield f"{len(gone)} raw partitions are gone, {gone[0]} first"
    if other:
        yield f"{len(other)} raw partitions hold other bytes, {other[0]} first"
    explained = gone or other or rebuilt.definition_hash != recorded.definition_hash
    if not explained and rebuilt.training_set != recorded.training_set:
        yield f"equal raw data gave the training set {recorded.training_set[:12]}, and now {rebuilt.training_set[:12]}"


def _environment(then: Environment, now: Environment) -> Iterator[str]:
    for name in sorted({*then.libraries, *now.libraries}):
        old, new = then.libraries.get(name, "none"), now.libraries.get(name, "none")
        if old != new:
            yield f"{name} {new} instead of {old}"
    for what in ("python", "machine", "threads"):
        if getattr(then, what) != getattr(now, what):
            yield f"{what} {getattr(now, what) or 'unset'} instead of {getattr(then, what) or 'unset'}"
    if then.lock != now.lock:
        yield f"the lock {now.lock[:12]} instead of {then.lock[:12]}"


def _restless(rebuilt: Rebuilt) -> str:
    if rebuilt.spread > 0.0:
        return (
            f"two fits of the same rows here differ by up to {rebuilt.spread:.3g}: the estimator draws without its seed"
        )
    return (
        "code, data and dependencies are as they were, and two fits here agree: the first one did not follow its seed"
    )
