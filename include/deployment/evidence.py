"""What decisions about a step of a rollout are made on, and where it is kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from include.deployment.generation import Generation
from include.deployment.losses import Quality
from include.files import read_json, write_json
from include.records import Record
from include.settings import get_settings


@dataclass(frozen=True)
class Latency(Record):
    """Percentiles of the seconds of a request: the 50th, the 95th and the 99th."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Shown(Record):
    """What one version predicted. ``latency``: None where the log has no times."""

    version: int
    requests: int
    rows: int
    failed: int  # rows that it could not predict
    yes: float | None  # share of the predictions at the threshold, of a classification
    latency: Latency | None


@dataclass(frozen=True)
class Evidence(Record):
    """A challenger beside its champion, from the beginning of a step until a moment.

    A shadow predicts the champion's rows: ``paired`` of them both have predicted, and ``flipped`` is the share of
    those whose decisions differ. A canary answers other requests: ``flipped`` is how far the shares of yes are apart,
    the least share of decisions that can have changed. None for a regression, or where there is nothing to compare.

    ``difference``: Wasserstein-1 distance of the predictions in standard deviations of the champion's; where those are
    all equal, the share of the challenger's that is another value.

    ``slower``: the ratio of the 95th percentiles of seconds, the challenger's to the champion's. Of a canary alone: a
    shadow's seconds are those of its model, an answer's those since its request began.

    ``quality`` is of the whole rollout until then, not of the step alone: labels come late. None where it could not be
    computed, and ``failure`` says why.
    """

    use_case: str
    generation: int
    mode: Literal["canary", "shadow"]
    weight: float
    since: datetime
    until: datetime
    threshold: float | None
    champion: Shown
    challenger: Shown
    paired: int
    flipped: float | None
    difference: float | None
    slower: float | None
    reasons: tuple[str, ...]
    quality: Quality | None = None
    failure: str = ""

    @property
    def id(self) -> str:
        """Made of the content: equal evidence has one id."""
        canonical = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def keep(evidence: Evidence) -> str:
    """Write it where what decisions were made on is kept; its id."""
    write_json(get_settings().evidence / evidence.use_case / f"{evidence.id}.json", evidence.to_dict())
    return evidence.id


def keep_newest(evidence: Evidence) -> None:
    """Write it where the newest about its generation is kept, without being decided on."""
    write_json(_newest(evidence.use_case, evidence.generation), evidence.to_dict())


def newest(generation: Generation) -> Evidence | None:
    """What was observed last of a generation; None where nobody has looked."""
    path = _newest(generation.use_case, generation.number)
    return Evidence.from_dict(read_json(path)) if path.is_file() else None


def _newest(use_case: str, generation: int) -> Path:
    return get_settings().evidence / use_case / f"rollout-{generation}.json"
