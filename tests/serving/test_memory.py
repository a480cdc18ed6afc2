"""A serving process keeps its memory while it is asked and while what it serves is replaced.

`benchmarks/serving_memory.py` does the same with the flights' model, for 100,000 requests and 50 reloads.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from benchmarks.serving_memory import replace, request, send
from include.registry import models
from include.registry.model_input import to_model_input
from tests.model_store import FEATURES, start_run, training_frame
from tests.serving.processes import Replica, started
from tests.serving.test_process import NAME, prepared

__all__ = ["prepared"]  # a fixture

REQUESTS, RELOADS, WARM_UP = 20_000, 10, 3
GROWTH = 16.0  # MiB
BODIES = (
    {"rows": [{"distance": 900, "carrier": "AA", "night": True}]},
    {"entities": [{"trip_id": 1}], "as_of": "2013-05-01T14:00:00Z"},
)


def register_trees(seed: int) -> int:
    """A version of 200 trees of 31 leaves."""
    frame = training_frame(4000, seed)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    model = make_pipeline(
        make_column_transformer((encoder, ["carrier"]), remainder="passthrough"),
        HistGradientBoostingRegressor(max_iter=200, random_state=seed),
    ).fit(to_model_input(frame, FEATURES), frame["distance"].fillna(0.0))
    run_id = start_run(NAME)
    models.log_model(model, frame, run_id=run_id, task="regression", features=FEATURES)
    return models.register(run_id, NAME, "model", {"data_revision": f"rev-{seed}"}).version


@pytest.mark.faults
def test_many_requests_and_reloads_keep_the_memory(prepared: Path, tmp_path: Path) -> None:
    versions = [register_trees(seed) for seed in (1, 2)]
    server = Replica(tmp_path / "server.log")
    asked = [request(f"/v1/{NAME}/predict", body) for body in BODIES]

    def ask() -> None:
        for each in asked:
            send(server.port, each, REQUESTS // RELOADS // len(asked))

    with started(server):
        for number in range(WARM_UP):
            replace(server.address, NAME, versions[number % 2], ask)
        before = server.memory
        for number in range(WARM_UP, WARM_UP + RELOADS):
            replace(server.address, NAME, versions[number % 2], ask)
        after = server.memory
    assert server.log.read_text().count("serving version") == 1 + WARM_UP + RELOADS
    assert after - before < GROWTH, f"{before:.1f} MiB after the warm-up, {after:.1f} MiB at the end"
