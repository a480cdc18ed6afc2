"""The use cases, read anew when a file of theirs has changed: checking them all costs more than a page."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from include.contract.loading import FILE, Discovery, Folder, UseCaseError, discover_use_cases
from include.settings import get_settings

Stamp = tuple[str, int, int]


def use_cases() -> Discovery:
    """The use cases that were found, and what is wrong with the others."""
    return _discovered(tuple(stamp for folder in get_settings().use_case_folders for stamp in _stamps(str(folder))))


def use_case(name: str) -> Folder:
    """One by its name; ``UseCaseError`` where there is none. Others that are broken do not matter."""
    known = use_cases().found
    if name not in known:
        raise UseCaseError(f"no use case is called {name!r}; there are {', '.join(known) or 'none'}")
    return known[name]


@lru_cache(maxsize=4)
def _discovered(_files: tuple[Stamp, ...]) -> Discovery:
    return discover_use_cases()


def _stamps(folder: str) -> list[Stamp]:
    """The folder, and what tells whether a file of it was changed."""
    files = [(file, file.stat()) for file in sorted(Path(folder).glob(f"*/{FILE}"))]
    return [(folder, 0, 0), *((str(file), found.st_mtime_ns, found.st_size) for file, found in files)]
