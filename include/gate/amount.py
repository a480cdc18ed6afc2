"""Is there enough in the test stretch to judge by?"""

from __future__ import annotations

from collections.abc import Iterator

from include.contract.gate import GateConfig
from include.contract.use_case import Task
from include.gate.check import Check, not_computed
from include.gate.evidence import Evidence


def check(evidence: Evidence, task: Task, config: GateConfig) -> Iterator[Check]:
    """Enough rows, enough blocks (partitions), and of a classification rows of both classes."""
    for name, count, least in (
        ("rows", evidence.rows, config.minimum_rows),
        ("blocks", evidence.blocks, config.minimum_blocks),
    ):
        words = "are enough" if count >= least else "are too few"
        yield Check(
            name, count >= least, count, least, f"{count} {name} in the test stretch {words} (at least {least})"
        )
    if task == "classification":
        yield _classes(evidence)


def _classes(evidence: Evidence) -> Check:
    if evidence.positives is None:
        return not_computed("classes", 1, "the number of positives in the test stretch")
    both = 0 < evidence.positives < evidence.rows
    words = "both classes occur" if both else "only one class occurs"
    reason = f"{words} in the test stretch: {evidence.positives} positives in {evidence.rows} rows"
    return Check("classes", both, evidence.positives, 1, reason)
