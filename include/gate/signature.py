"""Is there what the candidate needs: in the feature store, and in the rows that clients send?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from include.gate.check import Check, not_computed
from include.records import Record
from include.registry.model_input import Feature

INTERCHANGEABLE = {"numeric", "boolean"}  # both are float64 to the estimator, and read from the same values


@dataclass(frozen=True)
class Signature(Record):
    """The input of the candidate beside what there is."""

    required: tuple[Feature, ...]  # what the candidate needs
    given: tuple[Feature, ...]  # what the feature service gives
    champion: tuple[Feature, ...] | None  # the champion's input; None: there is no champion
    row_requests: int  # logged requests of late in which a client sent complete rows


@dataclass(frozen=True)
class Difference(Record):
    """How an input differs from another one; ``changed`` pairs the features of one name and two kinds."""

    new: tuple[Feature, ...]
    gone: tuple[Feature, ...]
    changed: tuple[tuple[Feature, Feature], ...]  # ours, theirs

    def __str__(self) -> str:
        """``new: wind; gone: age; changed: late (boolean instead of numeric)``."""
        words = {
            "new": [feature.name for feature in self.new],
            "gone": [feature.name for feature in self.gone],
            "changed": [f"{ours.name} ({ours.kind} instead of {theirs.kind})" for ours, theirs in self.changed],
        }
        return "; ".join(f"{how}: {', '.join(names)}" for how, names in words.items() if names)


def difference(ours: Sequence[Feature], theirs: Sequence[Feature]) -> Difference:
    """By name, in any order."""
    mine, yours = ({feature.name: feature for feature in side} for side in (ours, theirs))
    return Difference(
        new=tuple(feature for name, feature in mine.items() if name not in yours),
        gone=tuple(feature for name, feature in yours.items() if name not in mine),
        changed=tuple((feature, yours[name]) for name, feature in mine.items() if yours.get(name, feature) != feature),
    )


def check(signature: Signature | None, champion: str | None) -> Iterator[Check]:
    """The feature store gives every feature with its kind, and clients that send complete rows keep working.

    ``champion`` is its version; where there is one, its input must be known.
    """
    if signature is None or not signature.required:
        yield not_computed("features", None, "the features that the candidate needs")
        yield not_computed("clients", None, "whether clients can go on sending the rows that they send")
        return
    yield _stored(signature)
    if champion is not None and signature.champion is None:
        yield not_computed("clients", None, f"the input of champion {champion}")
        return
    yield _sent(signature)


def _stored(signature: Signature) -> Check:
    found = difference(signature.required, signature.given)
    other = tuple(pair for pair in found.changed if {each.kind for each in pair} != INTERCHANGEABLE)
    faults = [f"does not give {feature.name} ({feature.kind})" for feature in found.new]
    faults += [f"gives {needed.name} as {given.kind} instead of {needed.kind}" for needed, given in other]
    count = len(signature.required)
    if faults:
        return Check("features", False, count - len(faults), count, f"the feature store {'; '.join(faults)}")
    reason = f"the feature store gives all {count} features that the candidate needs, each of its kind"
    return Check("features", True, count, count, reason)


def _sent(signature: Signature) -> Check:
    """Serving takes a row only where it has every feature of the model, of its very kind, and nothing else."""
    requests = signature.row_requests
    if signature.champion is None:
        said = "there is no champion yet, whose clients could send complete rows"
        why = f"{requests} requests sent complete rows lately, and there is no champion whose input they have"
        return Check("clients", requests == 0, requests, 0, why if requests else said)
    found = str(difference(signature.required, signature.champion))
    if not found:
        return Check("clients", True, requests, None, "the input has the names and kinds of the champion's")
    said = f"the input differs from the champion's ({found})"
    if requests == 0:
        return Check("clients", True, requests, 0, f"{said}, but no client has sent complete rows lately")
    return Check("clients", False, requests, 0, f"{said}: it would refuse the rows of {requests} requests of late")
