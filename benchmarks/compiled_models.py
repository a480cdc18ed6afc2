"""What does a prediction cost, for the rows of a request: pandas and a pipeline, or the pipeline compiled?

Three models of the flight_delay use case's features on the flights of four months: its own gradient-boosted trees, a
random forest of 100 trees behind the same encoder, and a logistic regression behind imputing, scaling and one-hot
encoding. Ours starts from Python values as they come from JSON, as the peer does; what the other ways cost, which start
from arrays that somebody else has encoded, stands in the notes. In one process and one thread, best of turns taken in
alternation.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from benchmarks import flights
from include.registry.artifacts import predict
from include.registry.model_input import Feature, features_of, to_model_input
from include.serving.compiled.compile import Compiled, compile_model
from include.serving.compiled.reading import read_columns
from include.serving.compiled.trees import Trees
from include.serving.compiled.verification import TOLERANCE, verify

LIBRARIES = ("scikit-learn", "numba", "numpy", "pandas")
LAST, LEARNED, SEED = "2013-04-30", 40_000, 0
TURNS = 4
VARIED = 64  # requests in turn, since a processor learns the way of one row by heart
SPENT = 0.2  # seconds of a turn, about
BATCH = 100_000
ONE_ROW_GOAL, HUNDRED_ROWS_GOAL = 50, 5
START = """
import json, time, numba
start = time.process_time()
import include.serving.compiled.kernels
print(json.dumps(time.process_time() - start))
"""


@dataclass(frozen=True)
class Case:
    """A fitted pipeline with its compiled form, and the seconds it took to compile and to verify it."""

    name: str
    model: Any
    compiled: Compiled
    seconds: tuple[float, float]
    agreed: str

    @property
    def trees(self) -> Trees | None:
        score = self.compiled.parts[0].score
        return score if isinstance(score, Trees) else None


def models(features: tuple[Feature, ...], own: Any) -> dict[str, Any]:
    """Unfitted pipelines by name."""
    texts = [feature.name for feature in features if feature.kind == "categorical"]
    numbers = [feature.name for feature in features if feature.kind != "categorical"]
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    forest = RandomForestClassifier(100, min_samples_leaf=20, max_features=0.3, random_state=SEED, n_jobs=1)
    scaled = make_pipeline(SimpleImputer(), StandardScaler())
    one_hot = OneHotEncoder(handle_unknown="ignore")
    return {
        "boosted trees": own,
        "random forest": make_pipeline(make_column_transformer((codes, texts), remainder="passthrough"), forest),
        "logistic regression": make_pipeline(
            make_column_transformer((scaled, numbers), (one_hot, texts)), LogisticRegression(max_iter=200)
        ),
    }


def prepare(name: str, model: Any, frame: pd.DataFrame, labels: Any, features: tuple[Feature, ...]) -> Case:
    print(f"  {name}", file=sys.stderr, flush=True)
    model.fit(frame.head(LEARNED), labels[:LEARNED])
    start = time.process_time()
    compiled = compile_model(model, "classification", features)
    middle = time.process_time()
    found = verify(compiled, model, "classification", frame.head(LEARNED))
    if not found.agrees:
        raise AssertionError(f"{name}: {found.reason}")
    return Case(name, model, compiled, (middle - start, time.process_time() - middle), found.reason)


def over_nodes(trees: Trees, matrix: Any) -> Any:
    """The scores of rows, all trees a level at a time with numpy."""
    nodes = trees.nodes
    at = np.broadcast_to(trees.roots, (len(matrix), len(trees.roots))).copy()
    row = np.arange(len(matrix))[:, None]
    while True:
        node = nodes[at]
        inner = node["feature"] >= 0
        if not inner.any():
            return (trees.base + node["number"].sum(axis=1)) / trees.divisor
        value = matrix[row, np.maximum(node["feature"], 0)]
        missing, categorical = np.isnan(value), inner & (node["categorical"] != 0)
        left = value <= node["number"]
        chosen = categorical & ~missing
        left[chosen] = trees.left[node["number"][chosen].astype(int), value[chosen].astype(int)]
        left = np.where(missing, node["missing_left"] != 0, left)
        at = np.where(inner, np.where(left, node["left"], node["right"]), at)


def microseconds(ways: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """CPU microseconds of a call."""
    repeats = {}
    for name, call in ways.items():
        call()
        start = time.process_time()
        call()
        repeats[name] = max(1, int(SPENT / max(time.process_time() - start, 1e-5)))
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(TURNS):
        for name, call in ways.items():
            start = time.process_time()
            for _ in range(repeats[name]):
                call()
            best[name] = min(best[name], (time.process_time() - start) / repeats[name] * 1e6)
    return best


def of_requests(case: Case, frame: pd.DataFrame, count: int) -> dict[str, float]:
    """Microseconds of a request of ``count`` rows, by way."""
    features, last = case.compiled.features, case.model[-1]
    requests = VARIED if count == 1 else 1
    some = frame.tail(count * requests)
    records: list[dict[str, Any]] = [
        {str(name): value for name, value in row.items()} for row in some.to_dict("records")
    ]
    rows = [tuple(record.values()) for record in records]
    encoded = case.model[:-1].transform(some)

    def in_turn(call: Callable[[Any], object], given: Any) -> Callable[[], object]:
        parts = cycle([given[start * count : (start + 1) * count] for start in range(requests)])
        return lambda: call(next(parts))

    ways: dict[str, Callable[[], object]] = {
        "ours": in_turn(case.compiled.predict, rows),
        "pipeline": in_turn(
            lambda given: predict(case.model, "classification", to_model_input(given, features)), records
        ),
        "array": in_turn(last.predict_proba, encoded),
    }
    if case.trees is not None:
        matrix = matrix_of(case, some)
        if not np.allclose(over_nodes(case.trees, matrix), case.trees(matrix), rtol=TOLERANCE, atol=TOLERANCE):
            raise AssertionError(f"{case.name}: numpy gives another score")
        ways["numpy"] = in_turn(partial(over_nodes, case.trees), matrix)
        ways["trees alone"] = in_turn(case.trees, matrix)
    return microseconds(ways)


def matrix_of(case: Case, frame: pd.DataFrame) -> Any:
    """What the compiled trees see of rows."""
    (part,) = case.compiled.parts
    values = read_columns(part.program.readers, [frame[name].to_numpy() for name in frame.columns])
    return values if part.direct else part.program.encode(values)


def request_entries(case: Case, frame: pd.DataFrame) -> list[dict[str, Any]]:
    entries = []
    for count in (1, 100, 1000):
        spent = of_requests(case, frame, count)
        beaten, goal = ("array", 1) if count == 1000 and case.trees else ("pipeline", HUNDRED_ROWS_GOAL)
        goal = ONE_ROW_GOAL if count == 1 else goal
        ratio = spent[beaten] / spent["ours"]
        peers = {"pipeline": "DataFrame and pipeline", "array": "encoded array and estimator"}
        peers |= {"numpy": "numpy over flat trees", "trees alone": "our trees on an encoded array"}
        others = [f"{words} {spent[way]:,.0f}" for way, words in peers.items() if way in spent and way != beaten]
        entries.append({
            "name": f"{case.name}: predict {count:,} row{'s' if count > 1 else ''}", "ours": round(spent["ours"], 1),
            "peer": round(spent[beaten], 1), "ratio": round(ratio, 1), "unit": "CPU µs", "goal": goal,
            "met": ratio >= goal, "note": f"peer: {peers[beaten]}; {', '.join(others)}",
        })  # fmt: skip
    return entries


def batch_entry(case: Case, frame: pd.DataFrame) -> dict[str, Any]:
    """All columns of many rows, where the peer is given what the encoders made of them.

    Only boosted trees have a goal: it is requests, not batches, that are compiled for.
    """
    some = frame.head(BATCH)
    columns = [some[name].to_numpy() for name in some.columns]
    encoded, last = case.model[:-1].transform(some), case.model[-1]
    spent = microseconds(
        {"ours": lambda: case.compiled.predict_columns(columns), "array": lambda: last.predict_proba(encoded)}
    )
    ratio, first = spent["array"] / spent["ours"], case.name == "boosted trees"
    return {
        "name": f"{case.name}: predict {len(some):,} rows of columns", "ours": round(spent["ours"] / 1e6, 3),
        "peer": round(spent["array"] / 1e6, 3), "ratio": round(ratio, 2), "unit": "CPU s",
        "goal": 1 if first else None, "met": ratio >= 1 if first else None,
        "note": "ours encodes the columns too; peer: encoded array and estimator",
    }  # fmt: skip


def agreement_entry(case: Case, frame: pd.DataFrame) -> dict[str, Any]:
    expected = predict(case.model, "classification", frame)
    found = case.compiled.predict_columns([frame[name].to_numpy() for name in frame.columns])
    difference = float(np.abs(found - expected).max())
    compiling, verifying = case.seconds
    return {
        "name": f"{case.name}: greatest difference over {len(frame):,} rows", "ours": difference, "peer": None,
        "limit": TOLERANCE, "ratio": None, "unit": "probability", "goal": f"at most {TOLERANCE:g}",
        "met": difference <= TOLERANCE,
        "note": f"compiled in {compiling:.2f} CPU s, verified in {verifying:.1f}: {case.agreed}",
    }  # fmt: skip


def start_entry() -> dict[str, Any]:
    """Processes of their own: the first makes the machine code, the second finds it."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "NUMBA_CACHE_DIR": folder}
        cold, warm = (
            float(json.loads(subprocess.check_output([sys.executable, "-c", START], env=env, text=True)))
            for _ in range(2)
        )
    return {
        "name": "machine code at the start of a process", "ours": round(warm, 2), "peer": round(cold, 2), "limit": 1.5,
        "ratio": round(cold / warm, 1), "unit": "CPU s", "goal": "at most 1.5", "met": warm <= 1.5,
        "note": "kept on disk; peer: made anew, as where no folder can be written; without the import of numba",
    }  # fmt: skip


def run() -> list[dict[str, Any]]:
    year = flights.read(LAST)
    rows = flights.known(year)
    labels = rows[year.label].to_numpy()
    table = rows.select(year.columns(rows)).to_pandas()
    features = features_of(table)
    frame = to_model_input(table, features)
    entries = [start_entry()]
    for name, model in models(features, year.estimator()).items():
        case = prepare(name, model, frame, labels, features)
        entries += [*request_entries(case, frame), batch_entry(case, frame), agreement_entry(case, frame)]
    return entries
