"""All that is known of a candidate when the gate judges it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from include.gate.balance import Balance
from include.gate.behaviour import Outcome
from include.gate.comparison import Comparison
from include.gate.documents import Documents
from include.gate.freshness import Freshness
from include.gate.signature import Signature
from include.gate.skew import Skew
from include.gate.slices import Slices
from include.gate.stability import Stability
from include.gate.staging import Trial
from include.records import Record
from include.training.reliability import Calibration


@dataclass(frozen=True)
class Evidence(Record):
    """What was measured on the test stretch and in trials; None: it could not be had, and its check fails.

    A metric that was not computed is absent, None or NaN. ``ValueError`` for an instant without a time zone.
    """

    candidate: str  # model version
    champion: str | None  # model version; None: there is none yet
    rows: int
    blocks: int
    positives: int | None  # rows of the positive class, of a classification
    metrics: Mapping[str, float | None]
    comparison: Comparison | None = None
    same_digest: bool = False  # the candidate's model is, byte for byte, the champion's
    withdrawn: tuple[str, ...] = ()  # versions of the same model that a rollback took out of production
    test_start: datetime | None = None
    champion_learned_until: datetime | None = None
    balance: Balance | None = None  # of a classification
    calibration: Calibration | None = None  # of a classification
    slices: Slices | None = None
    stability: Stability | None = None
    behaviours: tuple[Outcome, ...] | None = None
    trial: Trial | None = None  # in staging
    signature: Signature | None = None
    skew: Skew | None = None
    freshness: Freshness | None = None
    documents: Documents | None = None
    failures: Mapping[str, str] = field(default_factory=dict)  # what could not be computed: the error

    def __post_init__(self) -> None:
        for name, instant in (
            ("test_start", self.test_start),
            ("champion_learned_until", self.champion_learned_until),
        ):
            if instant is not None and instant.tzinfo is None:
                raise ValueError(f"{name}: {instant} has no time zone")

    @property
    def id(self) -> str:
        """Made of the content: equal evidence has one id, wherever it is read."""
        canonical = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]
