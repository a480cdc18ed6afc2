"""Ways to serve a model, each a process that is started by a command: ours, an empty answer, and the peers.

A peer is one class. ``python -m benchmarks.servers NAME PORT`` runs those that are written here.
"""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

Row = Mapping[str, Any]


class Server(ABC):
    """How a process is started, how it is seen to be ready, and what it is asked."""

    name: ClassVar[str]
    ready: ClassVar[str]  # a path that answers 200 when the model is loaded
    path: ClassVar[str]  # where it predicts
    environment: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def command(self, port: int) -> list[str]:
        """What starts it on a port of the loopback address."""

    @abstractmethod
    def body(self, rows: Sequence[Row]) -> bytes:
        """The request that has these complete rows predicted."""


class Ours(Server):
    name = "ours"
    ready = "/health/ready"
    path = "/v1/flight_delay/predict"

    def command(self, port: int) -> list[str]:
        return [sys.executable, "-m", "include.serving", "--port", str(port), "--use-case", "flight_delay"]

    def body(self, rows: Sequence[Row]) -> bytes:
        return json.dumps({"rows": rows}).encode()


class Written(Server):
    """One that is written here, on the same HTTP server as ours."""

    ready = path = "/predict"

    def command(self, port: int) -> list[str]:
        return [sys.executable, "-m", "benchmarks.servers", self.name, str(port)]

    def body(self, rows: Sequence[Row]) -> bytes:
        return json.dumps({"rows": rows}).encode()


class Empty(Written):
    """Answers {} to everything: what the HTTP server alone costs."""

    name = "empty"


class Tutorial(Written):
    """The way that tutorials show: FastAPI, a pydantic model of a row, a DataFrame, the pipeline."""

    name = "tutorial"


def empty() -> Any:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    return app


def tutorial() -> Any:
    import pandas as pd
    from fastapi import FastAPI
    from pydantic import BaseModel, create_model

    from include.registry import models

    version = models.by_alias("flight_delay", models.CHAMPION)
    if version is None:
        raise RuntimeError("flight_delay has no champion")
    predictor = models.load(version)
    kinds: dict[str, Any] = {"numeric": float | None, "boolean": bool | None, "categorical": str | None}
    row: Any = create_model("Row", **{each.name: (kinds[each.kind], ...) for each in predictor.features})  # type: ignore[call-overload]

    class Rows(BaseModel):
        rows: list[row]

    names = [each.name for each in predictor.features]
    texts = [each.name for each in predictor.features if each.kind == "categorical"]
    app = FastAPI()

    @app.get("/predict")
    def ready() -> dict[str, str]:
        return {"status": "ready"}

    def predict(body: Rows) -> dict[str, list[float]]:
        frame = pd.DataFrame([each.model_dump() for each in body.rows], columns=names)
        numbers = frame.columns.difference(texts)
        frame[numbers] = frame[numbers].astype(float)
        model: Any = predictor.model
        return {"predictions": model.predict_proba(frame)[:, 1].tolist()}

    predict.__annotations__["body"] = Rows  # the class is made here, where FastAPI does not find it by its name
    app.post("/predict")(predict)
    return app


def main(name: str, port: int) -> None:
    import uvicorn

    app = {"empty": empty, "tutorial": tutorial}[name]()
    uvicorn.run(app, port=port, loop="uvloop", http="httptools", lifespan="off", access_log=False, log_level="warning")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
