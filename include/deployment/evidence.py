"""What a rollout has shown so far, read off the prediction log."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import numpy as np

from include.contract.loading import Folder
from include.deployment.generation import Generation
from include.files import write_json
from include.records import Record
from include.serving import prediction_log
from include.settings import get_settings

Line = Mapping[str, Any]


@dataclass(frozen=True)
class Shown(Record):
    """What one version predicted. ``seconds``: the 95th percentile of a request, None where the log has no times."""

    version: int
    requests: int
    rows: int
    failed: int  # rows that it could not predict
    yes: float | None  # share of the predictions at the threshold, of a classification
    seconds: float | None


@dataclass(frozen=True)
class Evidence(Record):
    """A challenger beside its champion, from the beginning of the rollout until a moment.

    A shadow predicts the champion's rows: ``paired`` of them both have predicted, and ``flipped`` is the share of
    those whose decisions differ. A canary answers other requests: ``flipped`` is how far the shares of yes are apart,
    the least share of decisions that can have changed. None for a regression, or where there is nothing to compare.

    ``difference``: Wasserstein-1 distance of the predictions in standard deviations of the champion's; where those are
    all equal, the share of the challenger's that is another value.
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
    reasons: tuple[str, ...]

    @property
    def id(self) -> str:
        """Made of the content: equal evidence has one id."""
        canonical = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


class _Row(NamedTuple):
    """What counts of a line of the log."""

    request: str
    prediction: float | None
    seconds: float | None


def collect(use_case: Folder, generation: Generation, until: datetime | None = None) -> Evidence:
    """The evidence of a rollout until a moment, or now; ``ValueError`` for a generation that is none."""
    since, until = datetime.fromisoformat(generation.at), until or datetime.now(UTC)
    lines = prediction_log.online_lines(
        use_case.config.name, since.astimezone(UTC).date(), until.astimezone(UTC).date(), source=None
    )
    within = (line for line in lines if since <= datetime.fromisoformat(line["time"]) < until)
    return measure(generation, within, use_case.config.serving.threshold, until)


def measure(generation: Generation, lines: Iterable[Line], threshold: float | None, until: datetime) -> Evidence:
    """The evidence in lines of the prediction log, without I/O."""
    if generation.champion is None or generation.challenger is None or not generation.mode:
        raise ValueError(f"{generation.use_case}: generation {generation.number} is no rollout")
    theirs: list[_Row] = []
    ours: list[_Row] = []
    shadowed: list[_Row] = []
    for line in lines:
        version, row = line["model_version"], _Row(line["request_id"], line["prediction"], line.get("seconds"))
        if version == generation.challenger:
            # In a canary, what stands in the log as a shadow's is what it failed to answer.
            (ours if line["source"] == prediction_log.ONLINE and generation.mode == "canary" else shadowed).append(row)
        elif version == generation.champion and line["source"] == prediction_log.ONLINE:
            theirs.append(row)
    champion = _shown(generation.champion, theirs, threshold)
    challenger = _shown(generation.challenger, [*ours, *shadowed], threshold)
    pairs = _pairs(theirs, shadowed)
    if generation.mode == "shadow":
        flipped = _flipped(pairs, threshold)
        difference = _difference([first for first, _ in pairs], [second for _, second in pairs])
    else:
        both = champion.yes is not None and challenger.yes is not None
        flipped = abs(champion.yes - challenger.yes) if both else None  # type: ignore[operator]
        difference = _difference(_predictions(theirs), _predictions(ours))
    return Evidence(
        use_case=generation.use_case,
        generation=generation.number,
        mode=generation.mode,
        weight=generation.weight,
        since=datetime.fromisoformat(generation.at),
        until=until,
        threshold=threshold,
        champion=champion,
        challenger=challenger,
        paired=len(pairs) if generation.mode == "shadow" else 0,
        flipped=flipped,
        difference=difference,
        reasons=_in_words(generation.mode, champion, challenger, flipped, difference),
    )


def keep(evidence: Evidence) -> str:
    """Write it where what decisions were made on is kept; its id."""
    write_json(get_settings().evidence / evidence.use_case / f"{evidence.id}.json", evidence.to_dict())
    return evidence.id


def _predictions(rows: Iterable[_Row]) -> list[float]:
    return [row.prediction for row in rows if row.prediction is not None]


def _shown(version: int, rows: Sequence[_Row], threshold: float | None) -> Shown:
    values = _predictions(rows)
    times = {row.request: row.seconds for row in rows if row.seconds is not None}
    return Shown(
        version=version,
        requests=len({row.request for row in rows}),
        rows=len(rows),
        failed=len(rows) - len(values),
        yes=float(np.mean(np.array(values) >= threshold)) if values and threshold is not None else None,
        seconds=float(np.quantile(list(times.values()), 0.95)) if times else None,
    )


def _pairs(answered: Iterable[_Row], shadowed: Iterable[_Row]) -> list[tuple[float, float]]:
    """The predictions of rows that both have predicted: of the same request, in the same place."""
    theirs = dict(_placed(answered))
    found = ((theirs.get(place), prediction) for place, prediction in _placed(shadowed))
    return [(first, second) for first, second in found if first is not None and second is not None]


def _placed(rows: Iterable[_Row]) -> Iterator[tuple[tuple[str, int], float | None]]:
    seen: Counter[str] = Counter()
    for row in rows:
        yield (row.request, seen[row.request]), row.prediction
        seen[row.request] += 1


def _flipped(pairs: Sequence[tuple[float, float]], threshold: float | None) -> float | None:
    if threshold is None or not pairs:
        return None
    return float(np.mean([(first >= threshold) != (second >= threshold) for first, second in pairs]))


def _difference(champion: Sequence[float], challenger: Sequence[float]) -> float | None:
    from scipy.stats import wasserstein_distance

    if not champion or not challenger:
        return None
    spread = float(np.std(champion)) if len(set(champion)) > 1 else 0.0  # rounding must not give a constant a spread
    if spread == 0:
        return float(np.mean(np.array(challenger) != champion[0]))
    return float(wasserstein_distance(champion, challenger)) / spread


def _in_words(
    mode: str, champion: Shown, challenger: Shown, flipped: float | None, difference: float | None
) -> tuple[str, ...]:
    did = "predicted" if mode == "shadow" else "answered"
    words = [
        f"version {challenger.version} {did} {challenger.requests} requests, version {champion.version} answered "
        f"{champion.requests}",
        f"{challenger.failed} rows failed" if challenger.failed else "none failed",
    ]
    if flipped is not None:
        words.append(f"decisions differ in {flipped:.2%}")
    if difference is not None:
        words.append(f"predictions are {difference:.3g} sd apart")
    if challenger.seconds is not None:
        words.append(f"95 % of requests took at most {challenger.seconds * 1000:.3g} ms")
    return tuple(words)
