"""Which features the model in production reads: written when the champion changes, read before definitions do.

It is a file, ``<features>/in_use/<use case>.json``, since definitions are applied also while MLflow is down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from include.features import catalogue
from include.features.catalogue import Catalogue, DefinitionError
from include.files import read_json, write_json
from include.records import Record
from include.settings import get_settings

if TYPE_CHECKING:
    from include.registry.models import ModelVersion


@dataclass(frozen=True)
class UsedFeature:
    """A feature as it was when its model went into production."""

    view: str
    name: str
    type: str


@dataclass(frozen=True)
class UsedVersion:
    """A model version with the features it reads and the hash of the definitions it was trained with."""

    version: int
    run_id: str
    definition_hash: str
    features: tuple[UsedFeature, ...]
    at: str


@dataclass(frozen=True)
class InUse(Record):
    """The champion, and the previous champion that a rollback would return to."""

    use_case: str
    champion: UsedVersion | None
    previous: UsedVersion | None


def file(use_case: str) -> Path:
    return get_settings().features / "in_use" / f"{use_case}.json"


def read(use_case: str) -> InUse | None:
    """What is recorded; None before the first promotion."""
    path = file(use_case)
    return InUse.from_dict(read_json(path)) if path.is_file() else None


def record(champion: ModelVersion, previous: ModelVersion | None) -> None:
    """Record what becomes champion; a second time changes nothing.

    ``DefinitionError`` where the champion-to-be reads a feature that the feature store does not have.
    """
    name = champion.use_case
    with catalogue.changing():
        applied, known = catalogue.read(name), read(name)
        if applied is None:
            raise DefinitionError(
                f"{catalogue.file(name)}: missing, so nobody knows the features of {name}; run {name}.features, "
                "which applies the definitions"
            )
        _require(champion, applied)
        in_use = InUse(
            name, _used(champion, applied, known), _used(previous, applied, known) if previous is not None else None
        )
        if in_use != known:
            write_json(file(name), in_use.to_dict())


def forget(use_case: str) -> None:
    """Nothing is in production any more."""
    with catalogue.changing():
        file(use_case).unlink(missing_ok=True)


def refusals(in_use: InUse | None, after: Catalogue) -> tuple[str, ...]:
    """Why a catalogue must not be applied: what it takes from the versions in use, with the cure."""
    if in_use is None:
        return ()
    roles = {"champion": in_use.champion, "previous champion": in_use.previous}
    return tuple(
        f"{in_use.use_case}: feature {lost.name!r} of view {lost.view!r} {how}, and the {role}, version "
        f"{used.version}, reads it: {CURES[role]}, or keep it"
        for role, used in roles.items()
        if used is not None
        for lost, how in _lost(used, after)
    )


CURES = {
    "champion": "promote a version without it first",
    "previous champion": "a rollback would return to it; promote versions without it until it is not the previous one",
}


def _lost(used: UsedVersion, after: Catalogue) -> Iterator[tuple[UsedFeature, str]]:
    members = after.members()
    for feature in used.features:
        view = after.view(feature.view)
        found = next((field for field in view.fields if field.name == feature.name), None) if view else None
        if view is None:
            yield feature, "would be removed with its view"
        elif found is None:
            yield feature, "would be removed"
        elif found.type != feature.type:
            yield feature, f"would change from {feature.type} to {found.type}"
        elif (feature.view, feature.name) not in members:
            yield feature, f"would leave the feature service {after.use_case!r}"


def _require(champion: ModelVersion, applied: Catalogue) -> None:
    absent = sorted({*champion.features} - {name for _, name in applied.members()})
    if absent:
        raise DefinitionError(
            f"{champion.use_case} version {champion.version} reads {', '.join(absent)}, which the feature service "
            f"{champion.use_case!r} does not have: put it back into feature_definitions.py and run "
            f"{champion.use_case}.features, or choose another version"
        )


def _used(version: ModelVersion, applied: Catalogue, known: InUse | None) -> UsedVersion:
    """The version with its features; as recorded before, where it was: later definitions do not change what it reads.

    Of a previous champion that was never recorded, what the store does not have any more cannot be kept.
    """
    for recorded in (known.champion, known.previous) if known is not None else ():
        if recorded is not None and (recorded.version, recorded.run_id) == (version.version, version.run_id):
            return recorded
    types = {(view.name, field.name): field.type for view in applied.views for field in view.fields}
    features = [
        UsedFeature(view, name, types[view, name])
        for view, name in sorted(applied.members())
        if name in version.features and (view, name) in types
    ]
    return UsedVersion(
        version=version.version,
        run_id=version.run_id,
        definition_hash=version.tags.get("definition_hash", ""),
        features=tuple(features),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
