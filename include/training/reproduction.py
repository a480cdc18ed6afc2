"""Was a model made again, and if not, why? A pure decision from what was recorded and what was rebuilt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from include.records import Record
from include.training.provenance import UNKNOWN, Environment, Provenance

TOLERANCE = 1e-6  # of a prediction, absolute: beyond the rounding of another processor's arithmetic

MACHINE = ("python", "machine", "threads")  # fields of an environment

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
    files: Mapping[str, str]  # the hashes of the use case's own files
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


def unable(recorded: Provenance, rebuilt: Rebuilt, failure: str, tolerance: float = TOLERANCE) -> Reproduction:
    """The verdict where the rebuild failed, with what is known of it without its result; ``failure``: what it said."""
    causes = tuple(_causes(recorded, rebuilt)) or (Cause("code", f"the rebuild failed: {failure}"),)
    reasons = (f"it could not be made again: {failure}", *(f"{cause.kind}: {cause.detail}" for cause in causes))
    return Reproduction("different", None, tolerance, causes, reasons)


def unreadable(recorded: Provenance, failure: str, tolerance: float = TOLERANCE) -> Reproduction:
    """The verdict where the raw data of the revision cannot be read any more."""
    detail = f"the raw data of revision {recorded.data_revision[:12]} cannot be read: {failure}"
    return Reproduction("different", None, tolerance, (Cause("data", detail),), ("it could not be made again", detail))


def _causes(recorded: Provenance, rebuilt: Rebuilt) -> Iterator[Cause]:
    """What is not as it was, each kind at most once."""
    code, environment = _code(recorded, rebuilt), _environment(recorded.environment, rebuilt.environment)
    data = _data(recorded, rebuilt)
    if not (code or environment or data) and rebuilt.training_set != recorded.training_set:
        then, now = recorded.training_set[:12], rebuilt.training_set[:12]
        data = [f"equal raw data gave the training set {then}, and now {now}"]
    found: dict[Kind, list[str]] = {"code": code, "data": data, "dependency": environment}
    yield from (Cause(kind, "; ".join(details)) for kind, details in found.items() if details)
    if rebuilt.spread > 0.0:
        yield Cause("nondeterminism", _restless(rebuilt))


def _code(recorded: Provenance, rebuilt: Rebuilt) -> list[str]:
    found = []
    if recorded.code.commit == UNKNOWN:
        found.append("the version was trained outside a checkout, so its code is not known")
    elif recorded.code.changes:
        found.append(
            f"the version was trained with changes that were not committed on top of {recorded.code.commit[:12]}"
        )
    elif rebuilt.commit != recorded.code.commit:
        found.append(
            f"rebuilt with commit {rebuilt.commit[:12]} instead of {recorded.code.commit[:12]}, which is not there"
        )
    if recorded.files:  # older versions did not keep them
        names = sorted({*recorded.files, *rebuilt.files})
        if other := [name for name in names if recorded.files.get(name) != rebuilt.files.get(name)]:
            found.append(f"of the use case {', '.join(other)} {'is' if len(other) == 1 else 'are'} not as then")
    if rebuilt.definition_hash != recorded.definition_hash:
        found.append(f"features defined by {rebuilt.definition_hash[:12]} instead of {recorded.definition_hash[:12]}")
    return found


def _data(recorded: Provenance, rebuilt: Rebuilt) -> list[str]:
    then = {key: partition.content for key, partition in recorded.partitions.items()}
    gone = sorted(then.keys() - rebuilt.partitions.keys())
    other = sorted(key for key, content in rebuilt.partitions.items() if key in then and then[key] != content)
    return [
        f"{len(keys)} raw partitions {what}, {keys[0]} first"
        for keys, what in ((gone, "are gone"), (other, "hold other bytes"))
        if keys
    ]


def _environment(then: Environment, now: Environment) -> list[str]:
    pairs = {name: (version, now.libraries.get(name, "none")) for name, version in sorted(then.libraries.items())}
    pairs |= {what: (getattr(then, what) or "unset", getattr(now, what) or "unset") for what in MACHINE}
    pairs["the lock"] = then.lock[:12], now.lock[:12]
    return [f"{what} {new} instead of {old}" for what, (old, new) in pairs.items() if old != new]


def _restless(rebuilt: Rebuilt) -> str:
    if rebuilt.spread > 0.0:
        return (
            f"two fits of the same rows here differ by up to {rebuilt.spread:.3g}: the estimator draws without its seed"
        )
    return (
        "code, data and dependencies are as they were, and two fits here agree: the first one did not follow its seed"
    )
