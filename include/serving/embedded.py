"""The served model inside another program: the same steps as the server's, without HTTP.

from include.serving.embedded import load

with load("flight_delay") as model:
    model.predict(entities=[{"flight_id": "2013-05-01_UA1545_EWR"}])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Self

import orjson

from include.contract.loading import load_use_case
from include.contract.use_case import UseCase
from include.registry.models import CHAMPION
from include.serving.explanations import Explanations
from include.serving.follower import Follower
from include.serving.lookup import Lookup
from include.serving.online_features import shared_store
from include.serving.prediction_log import PredictionLog
from include.serving.service import Service, deployment_of
from include.settings import get_settings

CLIENT = "embedded"


class Model:
    """The version of a use case that an alias names; threads may share it. ``load`` makes one."""

    def __init__(self, service: Service, predictions: PredictionLog) -> None:
        self._service = service
        self._log = predictions
        self._following = False

    @property
    def version(self) -> int:
        """The version that predicts at this moment."""
        follower = self._service.follower
        return deployment_of(follower.states[self._service.name], follower).version.version

    def predict(
        self,
        rows: Sequence[Mapping[str, Any]] | None = None,
        entities: Sequence[Mapping[str, Any]] | None = None,
        *,
        as_of: datetime | None = None,
        explain: bool = False,
    ) -> dict[str, Any]:
        """What ``POST /v1/{use_case}/predict`` answers, as Python values (times are text), kept in the prediction log.

        Either complete ``rows`` of features, where None and NaN are missing, or the keys of ``entities``, whose
        features are looked up, with ``as_of`` as they counted then. Raises ``problems.Problem``, whose status, detail
        and errors are those of the server's problem document.
        """
        given: dict[str, Any] = {"rows": rows, "entities": entities, "as_of": as_of, "explain": explain}
        present = {name: value for name, value in given.items() if value is not None}
        body = orjson.dumps(present, option=orjson.OPT_SERIALIZE_NUMPY, default=_listed)
        asked = self._service.read(body)
        answered: dict[str, Any] = orjson.loads(self._service.respond(asked, self._service.look_up(asked), CLIENT))
        return answered

    def follow(self) -> None:
        """From now on change to what the registry says, in a thread of its own, until ``close``."""
        if not self._following:
            self._following = True
            self._service.follower.start()

    def close(self) -> None:
        if self._following:
            self._service.follower.stop()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def load(use_case: str, alias: str = CHAMPION, lookup: bool = True) -> Model:
    """The model of the version that has the alias, ready to predict.

    ``lookup=False`` opens no online store: only complete rows can be predicted then. ``Problem`` of status 503 says
    why there is no model.
    """
    config = load_use_case(use_case).config
    follower = Follower({use_case: config}, alias, shared_store() if lookup else _without_store)
    follower.poll()
    predictions = PredictionLog.of(config, get_settings())
    deployment_of(follower.states[use_case], follower)
    return Model(Service(follower, use_case, predictions, Explanations()), predictions)


def _without_store(use_case: UseCase) -> Lookup:
    raise RuntimeError(f"{use_case.name} was loaded without a look-up of features")


def _listed(value: Any) -> Any:
    """Tuples and other sequences of rows."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} is no value of a request")
