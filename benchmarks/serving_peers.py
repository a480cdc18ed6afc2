"""What does an online prediction cost beside the usual ways to serve an MLflow model?

``mlflow models serve``, BentoML and LitServe with the registered version's own pipeline; by key Feast's
``get_online_features``, a DataFrame and the pipeline in FastAPI. Each has one worker and answers as the pipeline does,
which is checked first. CPU time is that of a server's whole process tree by request, measured as in ``serving``.
BentoML and LitServe live in environments of their own, made once below the home; one that cannot be made has no figure.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, chdir, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.peers.environments import NotInstalledError, install
from benchmarks.peers.servers import BatchingBentoML, BatchingLitServe, BentoML, Feast, LitServe, MLflow
from benchmarks.servers import Ours, Row, Server
from benchmarks.serving import Question, Running, measure, prepared, running
from include.registry.predictor import Predictor
from include.settings import REPOSITORY, Settings

LIBRARIES = ("mlflow", "feast", "fastapi", "pandas", "scikit-learn", "uvicorn")
USE_CASE = "flight_delay"
ROW, ROWS, KEY = "predict a row", "predict 100 rows", "predict by key"
MLFLOW_GOAL, ROW_GOAL, ROWS_GOAL, KEY_GOAL = 100, 30, 6, 40
APART = {"bentoml": (BentoML, BatchingBentoML), "litserve": (LitServe, BatchingLitServe)}
TOLERANCE = 1e-9


@contextmanager
def alone(server: Server, log: Path) -> Iterator[Running]:
    """``running``; at its end none of the processes that the server has started is left."""
    family: list[psutil.Process] = []
    try:
        with running(server, log) as found:
            try:
                yield found
            finally:
                family = found.process.children(recursive=True)
    finally:
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()


def available(home: Path) -> list[Server]:
    """The peers that take rows, without those that cannot be installed here."""
    found: list[Server] = [MLflow()]
    for name, kinds in APART.items():
        try:
            folder = install(name, home)
        except NotInstalledError as error:
            print(f"  without {error}", file=sys.stderr, flush=True)
        else:
            found += [each(folder) for each in kinds]
    return found


def champion() -> tuple[Predictor, Path]:
    """The registered pipeline in memory, and its file."""
    from include.registry import cache, models

    version = models.by_alias(USE_CASE, models.CHAMPION)
    if version is None:
        raise RuntimeError(f"{USE_CASE} has no champion")
    predictor = models.load(version)
    return predictor, cache.fetch(version) / predictor.contents.file


def by_key(asks: Sequence[dict[str, Any]]) -> tuple[list[Row], list[Row]]:
    """For each flight the keys of all views, which Feast's caller has to know, and its features."""
    import polars as pl

    from include.contract.loading import load_use_case
    from include.serving.online_features import OnlineFeatures
    from include.settings import get_settings

    config, as_of = load_use_case(USE_CASE).config, datetime.fromisoformat(asks[0]["as_of"])
    (own,) = config.entity.key
    files = get_settings().offline_store / USE_CASE / config.entity.view / "*.parquet"
    plan = pl.scan_parquet(files).filter(pl.col("event_timestamp") == as_of)
    keys = plan.select(**{key: pl.col(column) for key, column in config.join_keys.items()}).collect()
    known = {row[own]: row for row in keys.to_dicts()}
    flights = [entity for ask in asks for entity in ask["entities"]]
    return [known[each[own]] for each in flights], [row.values for row in OnlineFeatures(config).rows(flights, as_of)]


def predictions(answer: Any) -> list[float]:
    """Of an answer of ours each prediction's value, of MLflow's two classes the second."""
    found = answer["predictions"] if isinstance(answer, dict) else answer
    values = [each["prediction"] if isinstance(each, dict) else each for each in found]
    return [float(each[1] if isinstance(each, list) else each) for each in values]


def check(question: Question, expected: Sequence[Sequence[float]]) -> None:
    """``AssertionError`` where a server answers otherwise than the pipeline."""
    url, headers = f"http://127.0.0.1:{question.to.port}{question.to.server.path}", {"content-type": "application/json"}
    with httpx.Client(headers=headers, timeout=60, trust_env=False) as client:
        for body, wanted in zip(question.bodies, expected, strict=True):
            found = predictions(client.post(url, content=body).raise_for_status().json())
            errors = [abs(one - other) for one, other in zip(found, wanted, strict=True)]
            if not all(error <= TOLERANCE for error in errors):
                raise AssertionError(f"{question.name}: differs from the pipeline by up to {max(errors)}")


def questions(
    ours: Running, peers: Sequence[Running], feast: Running, asks: dict[str, Any], model: Predictor
) -> list[Question]:
    """All that is asked; each server has answered it as the pipeline does."""
    import pandas as pd

    def of(title: str, to: Running, bodies: Sequence[bytes], rows: Sequence[Sequence[Row]]) -> Question:
        question = Question(f"{title}: {to.server.name}", to, bodies)
        check(question, [model.predict(pd.DataFrame(each)).tolist() for each in rows])
        return question

    found = []
    for title, kind in ((ROW, "row"), (ROWS, "rows")):
        wanted = [each["rows"] for each in asks[kind]]
        found += [of(title, each, [each.server.body(rows) for rows in wanted], wanted) for each in (ours, *peers)]
    keys, features = by_key(asks["entity"])
    seen = [[row] for row in features]
    found.append(of(KEY, ours, [json.dumps(each).encode() for each in asks["entity"]], seen))
    found.append(of(KEY, feast, [feast.server.body([each]) for each in keys], seen))
    return found


def entry(title: str, peer: str, ours: float, theirs: float | None) -> dict[str, Any]:
    """One comparison; a peer that is not there meets nothing and misses nothing."""
    goal = {ROW: MLFLOW_GOAL if peer == MLflow.name else ROW_GOAL, ROWS: ROWS_GOAL, KEY: KEY_GOAL}[title]
    found: dict[str, Any] = {"name": f"{title}: {peer}", "ours": round(ours, 3), "unit": "CPU ms", "goal": goal}
    if theirs is None:
        return {**found, "met": None, "note": "not measured: the peer cannot be installed here"}
    ratio = theirs / ours
    note = {"note": "the peer is given the keys of all views; we find them by the flight's"} if title == KEY else {}
    return {**found, "peer": round(theirs, 3), "ratio": round(ratio, 1), "met": ratio >= goal, **note}


def run() -> list[dict[str, Any]]:
    peers = available(Settings().home.resolve())
    # A SQLite store of MLflow keeps its artifacts in the working directory.
    with tempfile.TemporaryDirectory() as name, chdir(name), ExitStack() as stack:
        folder = Path(name)
        os.environ |= {
            "EVERGREEN_HOME": str(folder / "home"), "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
            "PYTHONPATH": str(REPOSITORY), "BENTOML_HOME": str(folder / "bentoml"),
        }  # fmt: skip
        asks = prepared()
        model, file = champion()
        os.environ["MODEL_FILE"] = str(file)
        ours, *others = [stack.enter_context(alone(each, folder / each.name)) for each in (Ours(), *peers, Feast())]
        asked = questions(ours, others[:-1], others[-1], asks, model)
        spent = measure(asked)
    takers = [MLflow.name, *(each.name for kinds in APART.values() for each in kinds)]
    return [
        entry(title, peer, spent[f"{title}: {Ours.name}"], spent.get(f"{title}: {peer}"))
        for title in (ROW, ROWS, KEY)
        for peer in ([Feast.name] if title == KEY else takers)
    ]
