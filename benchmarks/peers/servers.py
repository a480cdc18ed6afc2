"""The usual ways to serve a model, each with one worker and the registered version's own pipeline.

``MODEL_FILE`` in the environment is the pipeline's file in the folder of the registered model.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmarks.servers import Row, Server

FOLDER = Path(__file__).resolve().parent


class MLflow(Server):
    name = "mlflow models serve"
    ready, path = "/ping", "/invocations"
    # MLflow starts uvicorn by its name.
    environment: ClassVar[Mapping[str, str]] = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath])}

    def command(self, port: int) -> list[str]:
        model = str(Path(os.environ["MODEL_FILE"]).parent)
        serve = ["models", "serve", "--model-uri", model, "--env-manager", "local", "--workers", "1"]
        return [sys.executable, "-m", "mlflow", *serve, "--host", "127.0.0.1", "--port", str(port)]

    def body(self, rows: Sequence[Row]) -> bytes:
        table = {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
        return json.dumps({"dataframe_split": table}).encode()


class Peer(Server):
    """One whose service is written here and takes flights."""

    def body(self, rows: Sequence[Row]) -> bytes:
        return json.dumps({"flights": rows}).encode()


class Feast(Peer):
    name = "Feast in FastAPI"
    ready, path = "/health", "/predict"

    def command(self, port: int) -> list[str]:
        return [sys.executable, "-m", "benchmarks.peers.feast_server", str(port)]


@dataclass(frozen=True)
class Apart(Peer):
    """One in an environment of its own, whose folder is its home."""

    home: Path

    def program(self, name: str) -> str:
        return str(self.home / "bin" / name)


class BentoML(Apart):
    name = "BentoML"
    ready, path = "/readyz", "/predict"
    environment: ClassVar[Mapping[str, str]] = {"BENTOML_DO_NOT_TRACK": "true"}

    def command(self, port: int) -> list[str]:
        serve = ["serve", "bentoml_service:FlightDelay", "--working-dir", str(FOLDER)]
        return [self.program("bentoml"), *serve, "--host", "127.0.0.1", "--port", str(port)]


class BatchingBentoML(BentoML):
    name = "BentoML, batching"
    path = "/predict_batch"


class LitServe(Apart):
    name = "LitServe"
    ready, path = "/health", "/predict"
    batch_size: ClassVar[int] = 1

    def command(self, port: int) -> list[str]:
        return [self.program("python"), str(FOLDER / "litserve_server.py"), str(port), str(self.batch_size)]


class BatchingLitServe(LitServe):
    name = "LitServe, batching"
    batch_size = 16
