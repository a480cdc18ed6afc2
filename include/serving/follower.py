"""Follows what the registry says is in production: new versions are loaded beside the old ones, then take their place.

That is the generation which promotion and rollback publish. Where nothing was ever published, and under another alias
than the champion's, it is the version that has the alias.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from include.contract.use_case import UseCase
from include.deployment import published
from include.deployment.generation import Generation
from include.registry import models
from include.registry.models import ModelVersion, RegistryUnavailable
from include.serving.compiled.served import Served, accelerate
from include.serving.followed import Deployment, Followed
from include.serving.lookup import Lookup, LookupFactory
from include.serving.samples import sample

__all__ = ["Deployment", "Followed", "Follower", "RegistryState"]

log = logging.getLogger(__name__)

LONGEST_PAUSE = 60.0
SAMPLED = 500  # rows that a compiled model is held to its pipeline on


@dataclass(frozen=True)
class _Wanted:
    """What the registry asks for: the champion, and the generation that says so, if one does."""

    champion: ModelVersion | None
    generation: Generation | None = None

    @property
    def number(self) -> int | None:
        return self.generation.number if self.generation else None

    @property
    def challenger(self) -> int | None:
        return self.generation.challenger if self.generation else None


@dataclass
class _Retry:
    """When a version that could not be served, or not wholly, is tried again."""

    version: int
    attempts: int = 0
    at: float = 0.0


@dataclass(frozen=True)
class RegistryState:
    reachable: bool | None = None
    problem: str | None = None


@dataclass
class Follower:
    """Polls in a thread of its own. ``states`` may be read by any thread."""

    use_cases: Mapping[str, UseCase]
    alias: str
    lookups: LookupFactory
    interval: float = 1.0
    states: dict[str, Followed] = field(init=False)
    registry: RegistryState = field(init=False, default=RegistryState())

    def __post_init__(self) -> None:
        self.states = {name: Followed(use_case) for name, use_case in self.use_cases.items()}
        self._retries: dict[str, _Retry] = {}
        self._polling = threading.Lock()
        self._looked = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def looked(self, timeout: float) -> bool:
        """Wait until the registry was asked for every use case and what it named was loaded, or could not be."""
        return self._looked.wait(timeout)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def poll(self) -> None:
        """Ask the registry once for every use case and load what is new."""
        with self._polling:
            self._poll()

    def _poll(self) -> None:
        for name, followed in list(self.states.items()):
            try:
                wanted = self._wanted(name, followed)
            except RegistryUnavailable as error:
                if self.registry.reachable is not False:
                    log.warning("the registry does not answer; serving what is loaded: %s", error)
                self.registry = RegistryState(False, str(error))
                return
            except Exception as error:
                log.exception("%s: what is in production cannot be read", name)
                problem = f"what is in production cannot be read: {type(error).__name__}: {error}"
                self.states[name] = replace(followed, problem=problem)
                continue
            self.registry = RegistryState(True)
            try:
                self._follow(name, wanted)
            except Exception as error:
                version = wanted.champion.version if wanted.champion else None
                log.exception("%s: version %s cannot be served", name, version)
                problem = f"version {version}: {type(error).__name__}: {error}"
                self.states[name] = replace(self.states[name], problem=problem)

    def _wanted(self, name: str, followed: Followed) -> _Wanted:
        """Asks the registry: once, while nothing changes."""
        generation = published.read(name) if self.alias == models.CHAMPION else None
        if generation is None:
            return _Wanted(models.by_alias(name, self.alias))
        if generation.champion is None:
            return _Wanted(None, generation)
        known = followed.loaded(generation.champion)
        return _Wanted(known.version if known else models.get(name, generation.champion), generation)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.poll()
            except Exception:
                log.exception("following the alias %s failed", self.alias)
            self._looked.set()
            self._stop.wait(self.interval)

    def _follow(self, name: str, wanted: _Wanted) -> None:
        followed = self.states[name]
        if wanted.champion is None:
            if followed.deployment is not None:
                log.info("%s: no version is %s any more", name, self.alias)
            self.states[name] = Followed(followed.use_case, asked=True, generation=wanted.number)
            return
        problem = followed.problem if followed.wanted == wanted.champion else None
        followed = self.states[name] = replace(followed, asked=True, wanted=wanted.champion, problem=problem)
        champion = self._champion(followed, wanted.champion)
        if champion is None:
            return
        challenger, why = self._challenger(followed, wanted.challenger)
        generation = wanted.generation
        self.states[name] = Followed(
            followed.use_case,
            asked=True,
            wanted=wanted.champion,
            deployment=champion,
            challenger=challenger,
            challenger_problem=why,
            mode=generation.mode if generation and challenger else "",
            weight=generation.weight if generation and challenger else 0.0,
            generation=wanted.number if why is None else None,
        )

    def _champion(self, followed: Followed, wanted: ModelVersion) -> Deployment | None:
        """What is to answer; None while a version that could not be served waits for its next try."""
        name, served = followed.use_case.name, followed.deployment
        if served is not None and followed.current and not served.problems:
            self._retries.pop(name, None)
            return served
        if not self._due(name, wanted.version):
            return served if followed.current else None
        if served is not None and followed.current:
            deployment = self._with_lookup(followed.use_case, served.served)
        else:
            deployment = followed.loaded(wanted.version) or self._load(followed.use_case, wanted)
            if deployment.problems and served is not None and not served.problems:
                raise RuntimeError("; ".join(deployment.problems))  # the old one serves better
            log.info("%s: serving version %d, digest %s", name, wanted.version, wanted.digest[:12])
        return deployment

    def _challenger(self, followed: Followed, wanted: int | None) -> tuple[Deployment | None, str | None]:
        """What is tried beside the champion, or what stands in the way: that must not reach the champion."""
        name = followed.use_case.name
        what = f"{name} challenger"
        known = followed.loaded(wanted) if wanted is not None else None
        if wanted is None or known is not None:
            self._retries.pop(what, None)
            return known, None
        if not self._due(what, wanted):
            return None, followed.challenger_problem
        try:
            deployment = self._load(followed.use_case, models.get(name, wanted))
        except Exception as error:
            log.exception("%s: challenger, version %d, cannot be served", name, wanted)
            return None, f"challenger, version {wanted}: {type(error).__name__}: {error}"
        if deployment.problems:
            return None, f"challenger, version {wanted}: {'; '.join(deployment.problems)}"
        return deployment, None

    def _due(self, what: str, version: int) -> bool:
        """Whether a version may be tried now; each try doubles the pause to the next."""
        retry = self._retries.get(what)
        if retry is None or retry.version != version:
            retry = self._retries[what] = _Retry(version)
        if time.monotonic() < retry.at:
            return False
        retry.attempts += 1
        retry.at = time.monotonic() + min(self.interval * 2**retry.attempts, LONGEST_PAUSE)
        return True

    def _load(self, use_case: UseCase, version: ModelVersion) -> Deployment:
        # loading and verifying predict, so that the first request finds the model warm
        predictor = models.load(version)
        served = accelerate(predictor, sample(predictor, SAMPLED))
        log.info("%s: version %d runs %s: %s", use_case.name, version.version, served.engine, served.reason)
        return self._with_lookup(use_case, served)

    def _with_lookup(self, use_case: UseCase, served: Served) -> Deployment:
        problems: tuple[str, ...] = ()
        lookup: Lookup | None = None
        try:
            lookup = self.lookups(use_case)
        except Exception as error:
            log.exception("%s: no features from the online store", use_case.name)
            problems = (f"online store: {type(error).__name__}: {error}",)
        else:
            lacking = [feature.name for feature in served.predictor.features if feature.name not in lookup.features]
            if lacking:
                problems = (f"the feature service lacks {', '.join(lacking)}, which the model needs",)
        return Deployment(served, lookup, datetime.now(UTC), problems)
