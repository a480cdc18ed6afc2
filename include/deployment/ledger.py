"""The ledger of a use case's generations: only ever appended, each entry chained to the one before it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from include.deployment.generation import Generation, Kind, Mode
from include.files import locked
from include.history.chained_file import CHAINED, ChainedFile
from include.settings import get_settings


class GenerationConflictError(Exception):
    """Another change came in between."""


def changing(use_case: str) -> AbstractContextManager[None]:
    """One change at a time; the next one waits. The lock ends with its process."""
    return locked(_file(use_case).path.with_suffix(".change"))


def read(use_case: str) -> list[Generation]:
    """All generations, the oldest first."""
    return [_generation(content) for content in _file(use_case).read()]


def head(use_case: str) -> Generation | None:
    """The generation that is to be in force."""
    last = next(_file(use_case).newest_first(), None)
    return _generation(last) if last is not None else None


def get(use_case: str, number: int) -> Generation | None:
    """A generation by its number; None where there is none."""
    return next((each for each in read(use_case) if each.number == number), None)


def before(generation: Generation) -> Generation | None:
    """The generation that another one replaced."""
    return get(generation.use_case, generation.after)


def append(
    use_case: str,
    after: Generation | None,
    *,
    champion: int | None,
    previous: int | None,
    kind: Kind,
    origin: str = "",
    actor: str = "",
    reason: str = "",
    challenger: int | None = None,
    mode: Mode = "",
    weight: float = 0.0,
) -> Generation:
    """The next generation; ``GenerationConflictError`` where ``after`` is not the head (compare and swap).

    A rollout ends with it, unless it names the challenger.
    """
    number = after.number if after is not None else 0
    generation = Generation(
        use_case=use_case,
        number=number + 1,
        after=number,
        champion=champion,
        previous=previous,
        kind=kind,
        origin=origin,
        actor=actor,
        reason=reason,
        challenger=challenger,
        mode=mode,
        weight=weight,
    )
    file = _file(use_case)
    with file.appending():
        last = head(use_case)
        found = last.number if last is not None else 0
        if found != number:
            raise GenerationConflictError(
                f"{use_case}: generation {found} came in between, the change was made after generation {number}"
            )
        file.add(generation.to_dict())
    return generation


def verify(use_case: str) -> dict[int, str]:
    """What is wrong with the file by line, in words; empty where every entry follows from the one before."""
    return _file(use_case).verify()


def _generation(entry: dict[str, Any]) -> Generation:
    return Generation.from_dict({name: value for name, value in entry.items() if name not in CHAINED})


def _file(use_case: str) -> ChainedFile:
    cure = "put the file back from a copy; the generation in force is also a tag of the registered model in MLflow"
    return ChainedFile(get_settings().deployments / f"{use_case}.jsonl", cure)
