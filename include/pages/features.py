"""What the pages show of a use case's features: the catalogue, who reads them, how fresh they are, and their parity."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from include.contract.loading import Folder
from include.features import catalogue, freshness, in_use
from include.features.catalogue import Catalogue, Service, View
from include.features.freshness import State
from include.monitoring import parity
from include.monitoring.parity import Parity

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FieldRow:
    """One feature; ``used_by`` names the versions in use that read it."""

    name: str
    type: str
    description: str
    tags: tuple[str, ...]
    used_by: tuple[str, ...]


@dataclass(frozen=True)
class Online:
    """How fresh a stored view is online; ``newest`` and ``age`` are empty where it has no rows."""

    state: State
    newest: str
    age: str


@dataclass(frozen=True)
class ViewCard:
    """One view in words."""

    view: View
    ttl: str
    tags: tuple[str, ...]
    fields: tuple[FieldRow, ...]
    online: Online | None


@dataclass(frozen=True)
class FeaturePage:
    """The features of a use case; without a catalogue nothing was applied yet."""

    name: str
    title: str
    catalogue: Catalogue | None
    champion: int | None
    views: tuple[ViewCard, ...]
    parity: Parity | None
    problem: str

    @property
    def services(self) -> tuple[Service, ...]:
        return self.catalogue.services if self.catalogue is not None else ()


def page(use_case: Folder) -> FeaturePage:
    """Read from the online store and from records beside it; nothing is asked of Feast or MLflow."""
    config = use_case.config
    applied, used = catalogue.read(config.name), in_use.read(config.name)
    online, problem = _online(applied)
    return FeaturePage(
        name=config.name,
        title=config.title,
        catalogue=applied,
        champion=used.champion.version if used is not None and used.champion is not None else None,
        views=tuple(_card(view, _readers(used), online) for view in applied.views) if applied is not None else (),
        parity=parity.latest(config.name),
        problem=problem,
    )


def _online(applied: Catalogue | None) -> tuple[dict[str, Online], str]:
    """By stored view how fresh it is, or what keeps the online store from telling."""
    if applied is None:
        return {}, ""
    now = datetime.now(UTC)
    try:
        measured = freshness.measure(applied)
    except Exception as error:
        log.exception("%s: the online store cannot be read", applied.use_case)
        return {}, f"the online store cannot be read: {type(error).__name__}: {error}"
    return {
        each.view: Online(
            state=each.state(now),
            newest=f"{each.newest:%Y-%m-%d %H:%M} UTC" if each.newest else "",
            age=in_words(max((now - each.newest).total_seconds(), 1), parts=2) if each.newest else "",
        )
        for each in measured
    }, ""


def in_words(seconds: float | None, parts: int = 4) -> str:
    """A time to live or an age: ``2 days``, ``1 hour 30 minutes``, in so many parts at most."""
    if not seconds:
        return "without end"
    left, found = round(seconds), []
    for name, length in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, length)
        if count:
            found.append(f"{count} {name}{'s' if count > 1 else ''}")
    return " ".join(found[:parts])


Readers = dict[tuple[str, str], tuple[str, ...]]


def _readers(used: in_use.InUse | None) -> Readers:
    """By view and feature, which of the versions in use read it."""
    found: Readers = {}
    roles = (("champion", used.champion), ("previous champion", used.previous)) if used is not None else ()
    for role, version in roles:
        for feature in version.features if version is not None else ():
            known = found.get((feature.view, feature.name), ())
            found[feature.view, feature.name] = (*known, role)
    return found


def _card(view: View, readers: Readers, online: dict[str, Online]) -> ViewCard:
    return ViewCard(
        view=view,
        ttl="computed when asked" if view.kind == "on demand" else in_words(view.ttl_seconds),
        tags=_tags(view.tags),
        online=online.get(view.name),
        fields=tuple(
            FieldRow(
                field.name, field.type, field.description, _tags(field.tags), readers.get((view.name, field.name), ())
            )
            for field in view.fields
        ),
    )


def _tags(tags: dict[str, str]) -> tuple[str, ...]:
    return tuple(f"{key}: {value}" for key, value in sorted(tags.items()))
