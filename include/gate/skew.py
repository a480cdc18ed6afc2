"""Does serving see the features that the candidate learned from?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from include.gate.check import Check, not_computed
from include.records import Record


@dataclass(frozen=True)
class Skew(Record):
    """Features as serving looks them up, held against those of the offline store for the same entities.

    *Skewed* and *late* are told apart as in ``include.monitoring.parity``.
    """

    entities: int
    compared: int  # features
    skewed: dict[str, int]  # entities by feature whose values differ though both are of the same row of the view
    late: dict[str, int]  # entities by feature for which the online store had an older row, or none
    examples: tuple[str, ...]  # skewed values in words


def check(skew: Skew | None) -> Iterator[Check]:
    """No feature is skewed; late ones are told, since waiting mends them."""
    if skew is None or skew.entities < 1 or skew.compared < 1:
        what = "training-serving skew" if skew is None else "training-serving skew (no entity could be compared)"
        yield not_computed("skew", 0, what)
        return
    skewed = {name: count for name, count in sorted(skew.skewed.items()) if count}
    if skewed:
        reason = f"of {skew.compared} features, online and offline values differ in {_in_words(skewed, skew.entities)}"
        reason += f", e.g. {'; '.join(skew.examples)}" if skew.examples else ""
    else:
        reason = f"online and offline values are the same in {skew.compared} features of {skew.entities} entities"
    late = {name: count for name, count in sorted(skew.late.items()) if count}
    reason += f"; not yet brought online: {_in_words(late, skew.entities)}" if late else ""
    yield Check("skew", not skewed, len(skewed), 0, reason)


def _in_words(counts: Mapping[str, int], entities: int) -> str:
    return ", ".join(f"{name} ({count} of {entities} entities)" for name, count in counts.items())
