"""What a step of a rollout has shown so far, read off the prediction log and the labels that have come."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from include.contract.loading import Folder
from include.deployment import ledger, losses
from include.deployment.evidence import Evidence, Latency, Shown
from include.deployment.generation import Generation
from include.deployment.losses import Quality
from include.registry.client import RegistryUnavailable
from include.serving import prediction_log

log = logging.getLogger(__name__)

Line = Mapping[str, Any]
KEPT = (
    "request_id", "source", "time", "model_version", "prediction", "seconds", "entity", "event_timestamp",
)  # fmt: skip


class _Row(NamedTuple):
    """What counts of a line of the log."""

    request: str
    prediction: float | None
    seconds: float | None


def collect(use_case: Folder, generation: Generation, until: datetime | None = None) -> Evidence:
    """The evidence of a rollout's step until a moment, or now; ``ValueError`` for a generation that is none."""
    config, until = use_case.config, until or datetime.now(UTC)
    steps = steps_until(generation)
    begun = _moment(steps[0].at)
    versions = (generation.champion, generation.challenger)
    read = prediction_log.online_lines(config.name, begun.date(), until.astimezone(UTC).date(), source=None)
    lines = [
        {name: line.get(name) for name in KEPT}  # not the features, which are most of a line
        for line in read
        if line["model_version"] in versions and begun <= _moment(line["time"]) < until
    ]
    since = _moment(generation.at)
    found = measure(
        generation, (line for line in lines if _moment(str(line["time"])) >= since), config.serving.threshold, until
    )
    try:
        quality = losses.realized(use_case, steps, lines)
    except RegistryUnavailable:
        raise  # it says nothing about the challenger
    except Exception as error:
        log.exception("%s: the quality of version %s could not be computed", config.name, generation.challenger)
        return replace(found, failure=f"{type(error).__name__}: {error}")
    return replace(found, quality=quality, reasons=(*found.reasons, *_of_quality(quality)))


def steps_until(generation: Generation) -> list[Generation]:
    """The steps of a rollout up to a generation, the first one first: each changed the mode or weight of the former."""
    steps = [generation]
    while (before := ledger.before(steps[0])) is not None and (before.champion, before.challenger) == (
        generation.champion,
        generation.challenger,
    ):
        steps.insert(0, before)
    return steps


def measure(generation: Generation, lines: Iterable[Line], threshold: float | None, until: datetime) -> Evidence:
    """The evidence in lines of the prediction log, without I/O."""
    if generation.champion is None or generation.challenger is None or not generation.mode:
        raise ValueError(f"{generation.use_case}: generation {generation.number} is no rollout")
    canary = generation.mode == "canary"
    theirs: list[_Row] = []
    ours: list[_Row] = []
    shadowed: list[_Row] = []
    for line in lines:
        version, row = line["model_version"], _Row(line["request_id"], line["prediction"], line.get("seconds"))
        if version == generation.challenger:
            # In a canary, what stands in the log as a shadow's is what it failed to answer.
            (ours if line["source"] == prediction_log.ONLINE and canary else shadowed).append(row)
        elif version == generation.champion and line["source"] == prediction_log.ONLINE:
            theirs.append(row)
    champion = _shown(generation.champion, theirs, threshold)
    challenger = _shown(generation.challenger, [*ours, *shadowed], threshold)
    pairs = _pairs(theirs, shadowed)
    slower = None
    if canary:
        both = champion.yes is not None and challenger.yes is not None
        flipped = abs(champion.yes - challenger.yes) if both else None  # type: ignore[operator]
        difference = _difference(_predictions(theirs), _predictions(ours))
        if champion.latency is not None and challenger.latency is not None:
            slower = challenger.latency.p95 / champion.latency.p95 if champion.latency.p95 else math.inf
    else:
        flipped = _flipped(pairs, threshold)
        difference = _difference([first for first, _ in pairs], [second for _, second in pairs])
    return Evidence(
        use_case=generation.use_case,
        generation=generation.number,
        mode=generation.mode,
        weight=generation.weight,
        since=_moment(generation.at),
        until=until,
        threshold=threshold,
        champion=champion,
        challenger=challenger,
        paired=0 if canary else len(pairs),
        flipped=flipped,
        difference=difference,
        slower=slower,
        reasons=_in_words(generation.mode, champion, challenger, flipped, difference),
    )


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
        latency=Latency(*np.quantile(list(times.values()), [0.5, 0.95, 0.99]).tolist()) if times else None,
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
    if challenger.latency is not None:
        words.append(f"95 % of requests took at most {challenger.latency.p95 * 1000:.3g} ms")
    return tuple(words)


def _of_quality(quality: Quality) -> tuple[str, ...]:
    tested = quality.comparison
    if not tested.days:
        return ("no day's labels have come yet",)
    low, high = tested.interval
    return (
        f"its loss is {quality.challenger:.4g} and the champion's {quality.champion:.4g} over {tested.days} days of "
        f"labels (by day {low:+.3g} to {high:+.3g}): {tested.verdict}",
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
