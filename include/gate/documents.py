"""Does a person who asks about the model find a model card, and somebody who answers for it?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from include.gate.check import Check, not_computed
from include.records import Record


@dataclass(frozen=True)
class Documents(Record):
    """What was logged beside the model."""

    card: bool
    owners: tuple[str, ...]


def check(documents: Documents | None) -> Iterator[Check]:
    """There is a model card, and at least one owner."""
    if documents is None:
        yield not_computed("model card", None, "whether there is a model card")
        yield not_computed("owners", 1, "who owns the model")
        return
    card = "there is a model card" if documents.card else "there is no model card: train anew, which writes it"
    yield Check("model card", documents.card, None, None, card)
    owners = [owner for owner in documents.owners if owner.strip()]
    named = f"owned by {', '.join(owners)}" if owners else "nobody owns the model: name owners in use_case.yaml"
    yield Check("owners", bool(owners), len(owners), 1, named)
