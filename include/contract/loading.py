"""Finds use cases in their folders, checks their configuration and loads their modules."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import cast

import yaml
from pydantic import ValidationError

from include.contract.authoring import Behaviours, Expectations, Features, Model, Source
from include.contract.use_case import UseCase
from include.settings import get_settings

FILE = "use_case.yaml"
YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # every DAG file reads all use cases: the one in C where it is


class UseCaseError(Exception):
    """A use case that cannot be loaded; the message names the file, the key and the cure."""


@dataclass(frozen=True)
class Folder:
    """A use case and the modules of its folder, each loaded when it is first asked for."""

    path: Path
    config: UseCase

    @property
    def source(self) -> Source:
        return cast(Source, self.module("source", "read"))

    @property
    def features(self) -> Features:
        return cast(Features, self.module("features", "views", "labels"))

    @property
    def expectations(self) -> Expectations:
        return cast(Expectations, self.module("expectations", "suites"))

    @property
    def model(self) -> Model:
        return cast(Model, self.module("model", "build"))

    @property
    def behaviours(self) -> Behaviours | None:
        """None where the use case has no ``behaviours.py``."""
        if not (self.path / "behaviours.py").is_file():
            return None
        return cast(Behaviours, self.module("behaviours", "behaviours"))

    def module(self, name: str, *functions: str) -> ModuleType:
        """The folder's module ``name``, which must have these functions."""
        qualified = f"evergreen_use_cases.{self.config.name}.{name}"
        file = self.path / f"{name}.py"
        module = sys.modules.get(qualified)
        if module is None or module.__file__ != str(file):
            if not file.is_file():
                raise UseCaseError(
                    f"{file}: missing; a use case needs it with {' and '.join(functions) or 'its content'}"
                )
            module = _load(qualified, file)
        for function in functions:
            if not callable(getattr(module, function, None)):
                raise UseCaseError(f"{file}: has no function {function}()")
        return module


def _load(qualified: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(qualified, file)
    if spec is None or spec.loader is None:
        raise UseCaseError(f"{file}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[qualified] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(qualified, None)
        raise
    return module


def read_config(file: Path) -> UseCase:
    """The checked configuration; ``UseCaseError`` names the file, the key and what was expected."""
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), YAML)  # noqa: S506 - both loaders are the safe one
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UseCaseError(f"{file}: cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise UseCaseError(f"{file}: expected a mapping of keys, got {type(content).__name__}")
    try:
        config = UseCase.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'use case'}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        )
        raise UseCaseError(f"{file}: {problems}") from error
    if config.name != file.parent.name:
        raise UseCaseError(f"{file}: name: {config.name!r} must be the name of its folder, {file.parent.name!r}")
    return config


@dataclass(frozen=True)
class Discovery:
    """The use cases that were found, by name in alphabetical order, and what is wrong with the others."""

    found: dict[str, Folder]
    errors: tuple[UseCaseError, ...]

    def raise_for_errors(self) -> None:
        if self.errors:
            raise UseCaseError("\n".join(str(error) for error in self.errors))


def discover_use_cases(folders: tuple[Path, ...] | None = None, name: str = "*") -> Discovery:
    """Looks through the folders of the settings, for one ``name`` or all; a broken one does not hide the others."""
    found: dict[str, Folder] = {}
    errors: list[UseCaseError] = []
    for parent in folders if folders is not None else get_settings().use_case_folders:
        if not parent.is_dir():
            errors.append(UseCaseError(f"{parent}: no such folder; EVERGREEN_USE_CASE_PATHS names it"))
            continue
        for file in sorted(parent.glob(f"{name}/{FILE}")):
            try:
                config = read_config(file)
            except UseCaseError as error:
                errors.append(error)
                continue
            if config.name in found:
                taken = found[config.name].path / FILE
                errors.append(UseCaseError(f"{file}: name: {config.name!r} is taken by {taken}"))
            else:
                found[config.name] = Folder(file.parent, config)
    return Discovery(dict(sorted(found.items())), tuple(errors))


def load_use_cases() -> dict[str, Folder]:
    """All use cases by name; raises ``UseCaseError`` when any of them is broken."""
    discovery = discover_use_cases()
    discovery.raise_for_errors()
    return discovery.found


def load_use_case(name: str) -> Folder:
    """One use case by name."""
    known = load_use_cases()
    if name not in known:
        raise UseCaseError(f"no use case is called {name!r}; there are {', '.join(known) or 'none'}")
    return known[name]
