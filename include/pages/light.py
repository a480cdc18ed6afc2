"""The traffic light: is a model all right? Decided from what the stages have recorded, with the reason in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from include.alerts import Alert
from include.pages.observed import Point, Seen

State = Literal["well", "look", "ill", "new"]
WORDS: dict[State, str] = {"well": "All right", "look": "Have a look", "ill": "Not all right", "new": "No model yet"}


@dataclass(frozen=True)
class Light:
    """``ill``: predictions cannot be relied on. ``look``: a person should look. ``new``: nothing is in production."""

    state: State
    reason: str

    @property
    def word(self) -> str:
        return WORDS[self.state]


def judge(champion: int | None, last: Seen | None, alerts: Sequence[Alert], problem: str = "") -> Light:
    """From the champion's version, the last look at it and the open alerts; the gravest cause is told.

    ``problem`` is what keeps the records from being read: then nothing can be said for the model.
    """
    if problem:
        return Light("ill", problem)
    if champion is None:
        return Light("new", "No version has been promoted.")
    watched = last if last is not None and last.model_version == champion else None
    if watched is not None and watched.quality.worse_than_promised:
        return Light("ill", f"Worse than promised: {'; '.join(watched.quality.reasons)}.")
    if critical := [each for each in alerts if each.severity == "critical"]:
        return Light("ill", _told(critical))
    cause = next(_causes(champion, last, alerts), "")
    if cause or watched is None:
        return Light("look", cause)
    return Light("well", _sentence("; ".join(watched.quality.reasons)))


def _causes(champion: int, last: Seen | None, alerts: Sequence[Alert]) -> Iterator[str]:
    """Why a person should look, the gravest cause first."""
    if alerts:
        yield _told(alerts)
    if last is None:
        yield f"Version {champion} is in production and has not been watched yet."
        return
    if last.model_version != champion:
        yield f"Version {champion} has not been watched yet; the last look was at version {last.model_version}."
    if last.decision.action == "retrain":
        yield f"A new model was asked for: {'; '.join(last.decision.reasons[:1]) or 'no reason was kept'}."
    if last.drift is not None and last.drift.prediction is not None and last.drift.prediction.drifted:
        yield f"The predictions have drifted: {'; '.join(last.drift.prediction.reasons)}."
    if not last.quality.decidable:
        yield _sentence("; ".join(last.quality.reasons))


def _told(alerts: Sequence[Alert]) -> str:
    first, more = alerts[0], f"; and {len(alerts) - 1} more" if len(alerts) > 1 else ""
    return f"{first.kind.capitalize()} ({first.key}): {first.message}{more}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def drift_in_words(last: Point) -> str:
    """How many features have drifted, and whether the predictions have."""
    if last.features is None or last.drifted is None:
        return "not measured"
    return f"{last.drifted} of {last.features} features"
