"""What a serving process has loaded for a use case, and what it knows about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from msgspec import Struct

from include.contract.use_case import UseCase
from include.deployment.generation import Mode
from include.registry.models import ModelVersion, Predictor
from include.serving.compiled.served import Served
from include.serving.log_lines import Columns
from include.serving.lookup import Lookup


class Model(Struct, frozen=True, gc=False):
    """A version as answers name it."""

    name: str
    version: int
    run_id: str


@dataclass(frozen=True)
class Deployment:
    """A loaded version with the lookup of its features. A request keeps the one it started with."""

    served: Served
    lookup: Lookup | None
    loaded_at: datetime
    problems: tuple[str, ...] = ()

    @cached_property
    def predictor(self) -> Predictor:
        return self.served.predictor

    @cached_property
    def version(self) -> ModelVersion:
        return self.predictor.version

    @cached_property
    def model(self) -> Model:
        return Model(self.version.use_case, self.version.version, self.version.run_id)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The features that it reads."""
        return tuple(feature.name for feature in self.predictor.features)

    @cached_property
    def columns(self) -> Columns:
        """``names`` as the log gives them."""
        return Columns.of(self.names)


@dataclass(frozen=True)
class Followed:
    """What is known and served for a use case; replaced whole, never changed.

    ``deployment`` is the champion's. ``generation`` is the one that is in force here with all that it asks for; None
    where nothing was published, or where its challenger is not there.
    """

    use_case: UseCase
    asked: bool = False
    wanted: ModelVersion | None = None
    deployment: Deployment | None = None
    problem: str | None = None
    challenger: Deployment | None = None
    challenger_problem: str | None = None
    mode: Mode = ""
    weight: float = 0.0
    generation: int | None = None

    @property
    def ready(self) -> bool:
        """A model is served from the online store, or no version has the alias."""
        if self.deployment is None:
            return self.asked and self.wanted is None
        return not self.deployment.problems

    @cached_property
    def compiled(self) -> bool:
        """Whether each model that may answer is compiled: no other predicts in microseconds."""
        return all(each.served.compiled is not None for each in (self.deployment, self.challenger) if each is not None)

    @property
    def current(self) -> bool:
        served = self.deployment.version if self.deployment else None
        return self.asked and served == self.wanted

    def loaded(self, version: int) -> Deployment | None:
        """The version as it is in memory already, be it as champion or as challenger."""
        known = (each for each in (self.deployment, self.challenger) if each is not None)
        return next((each for each in known if each.version.version == version), None)
