"""The registered pipeline as a BentoML service, as its documentation shows it: a method for each API."""

# mypy: ignore-errors
# BentoML is only in the environment that runs this; it reads the types of the methods when they are defined.
import os
from typing import Any

import bentoml
import pandas as pd
import skops.io


@bentoml.service(workers=1)
class FlightDelay:
    def __init__(self) -> None:
        file = os.environ["MODEL_FILE"]
        self.model = skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))

    @bentoml.api
    def predict(self, flights: list[dict[str, Any]]) -> list[float]:
        return self.model.predict_proba(pd.DataFrame(flights))[:, 1].tolist()

    @bentoml.api(batchable=True)
    def predict_batch(self, flights: list[dict[str, Any]]) -> list[float]:
        return self.model.predict_proba(pd.DataFrame(flights))[:, 1].tolist()
