"""Follows the registry's alias of each use case: a new version is loaded beside the old one, then takes its place."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.contract.use_case import UseCase
from include.registry import models
from include.registry.models import ModelVersion, Predictor, RegistryUnavailable
from include.registry.runs import TEST_FILE, logged_file
from include.serving.compiled.served import Served, accelerate
from include.serving.lookup import Lookup, LookupFactory

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

LONGEST_PAUSE = 60.0
SAMPLED = 500  # rows that a compiled model is held to its pipeline on


@dataclass(frozen=True)
class Deployment:
    """A loaded version with the lookup of its features. A request keeps the one it started with."""

    served: Served
    lookup: Lookup | None
    loaded_at: datetime
    problems: tuple[str, ...] = ()

    @property
    def predictor(self) -> Predictor:
        return self.served.predictor

    @property
    def version(self) -> ModelVersion:
        return self.predictor.version


@dataclass(frozen=True)
class Followed:
    """What is known and served for a use case; replaced whole, never changed."""

    use_case: UseCase
    asked: bool = False
    wanted: ModelVersion | None = None
    deployment: Deployment | None = None
    problem: str | None = None

    @property
    def ready(self) -> bool:
        """A model is served from the online store, or no version has the alias."""
        if self.deployment is None:
            return self.asked and self.wanted is None
        return not self.deployment.problems

    @property
    def current(self) -> bool:
        served = self.deployment.version if self.deployment else None
        return self.asked and served == self.wanted


@dataclass
class _Retry:
    """When a version that could not be served, or not wholly, is tried again."""

    version: ModelVersion
    attempts: int = 0
    at: float = 0.0


@dataclass(frozen=True)
class RegistryState:
    reachable: bool | None = None
    checked_at: datetime | None = None
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
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    @property
    def ready(self) -> bool:
        return all(followed.ready for followed in self.states.values())

    def poll(self) -> None:
        """Ask the registry once for every use case and load what is new."""
        with self._polling:
            self._poll()

    def _poll(self) -> None:
        for name in self.states:
            try:
                wanted = models.by_alias(name, self.alias)
            except RegistryUnavailable as error:
                if self.registry.reachable is not False:
                    log.warning("the registry does not answer; serving what is loaded: %s", error)
                self.registry = RegistryState(False, datetime.now(UTC), str(error))
                return
            self.registry = RegistryState(True, datetime.now(UTC))
            try:
                self._follow(name, wanted)
            except Exception as error:
                log.exception("%s: version %s cannot be served", name, wanted.version if wanted else None)
                problem = f"version {wanted.version if wanted else None}: {type(error).__name__}: {error}"
                self.states[name] = replace(self.states[name], problem=problem)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.poll()
            except Exception:
                log.exception("following the alias %s failed", self.alias)
            self._stop.wait(self.interval)

    def _follow(self, name: str, wanted: ModelVersion | None) -> None:
        followed = self.states[name]
        if wanted is None:
            if followed.deployment is not None:
                log.info("%s: no version is %s any more", name, self.alias)
            self.states[name] = Followed(followed.use_case, asked=True)
            return
        problem = followed.problem if followed.wanted == wanted else None
        followed = self.states[name] = replace(followed, asked=True, wanted=wanted, problem=problem)
        if followed.current and followed.deployment is not None and not followed.deployment.problems:
            return
        retry = self._retries.setdefault(name, _Retry(wanted))
        if retry.version != wanted:
            retry = self._retries[name] = _Retry(wanted)
        if time.monotonic() < retry.at:
            return
        retry.attempts += 1
        retry.at = time.monotonic() + min(self.interval * 2**retry.attempts, LONGEST_PAUSE)
        if followed.current and followed.deployment is not None:
            deployment = self._with_lookup(followed.use_case, followed.deployment.served)
        else:
            # loading and verifying predict, so that the first request finds the model warm
            served = accelerate(models.load(wanted), _sample(wanted))
            log.info("%s: version %d runs %s: %s", name, wanted.version, served.engine, served.reason)
            deployment = self._with_lookup(followed.use_case, served)
            if deployment.problems and followed.deployment is not None and not followed.deployment.problems:
                raise RuntimeError("; ".join(deployment.problems))  # the old one serves better
            log.info("%s: serving version %d, digest %s", name, wanted.version, wanted.digest[:12])
        if not deployment.problems:
            del self._retries[name]
        self.states[name] = replace(followed, deployment=deployment, problem=None)

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


def _sample(version: ModelVersion) -> pd.DataFrame | None:
    """Rows that the version was tested on; None where its run logged none."""
    import polars as pl

    try:
        rows = pl.read_parquet(logged_file(version, TEST_FILE), columns=list(version.features))
    except Exception as error:  # noqa: BLE001 - a version from elsewhere: the model's own example has to do
        log.warning("%s version %d: no rows of its test to verify with: %s", version.use_case, version.version, error)
        return None
    return rows.sample(min(SAMPLED, rows.height), seed=0).to_pandas()
