"""Made observations of a use case, as the monitor would have kept them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from include.files import write_json
from include.monitoring.observation import record_file

FIRST = date(2013, 1, 7)


def record(use_case: str, partition: str, number: int = 0, **more: Any) -> dict[str, Any]:
    """The content of a record; ``more`` replaces fields, ``quality`` and ``drift`` those of the two."""
    value = 0.45 + 0.03 * math.sin(number / 9)
    quality = {
        "metric": "mae", "values": {"mae": value, "rmse": value * 1.3}, "interval": [value - 0.02, value + 0.02],
        "promised": 0.46, "increase": None, "tolerance": 0.05, "confidence": 0.9, "rows": 950, "predictions": 1000,
        "coverage": 0.95, "blocks": 7, "decidable": True, "worse_than_promised": False,
        "reasons": ["mae is not worse than promised"],
    }  # fmt: skip
    drift = {
        "features": [feature(f"feature {index}", drifted=index == 3) for index in range(5)],
        "prediction": feature("prediction"), "rows_reference": 9000, "rows_current": 1000,
        "alpha": 0.01, "effect": 0.08, "prediction_effect": 0.1,
    }  # fmt: skip
    moment = datetime(2013, 1, 14, tzinfo=UTC) + timedelta(weeks=number)
    decision = {
        "use_case": use_case, "partition": partition, "as_of": moment.isoformat(), "champion": "1", "action": "no",
        "trigger": None, "reasons": ["quality: fine"], "evidence_id": "0" * 16,
    }  # fmt: skip
    content = {
        "use_case": use_case, "first": partition, "last": partition, "model_version": 1, "run_id": "run-1",
        "data_revision": "ab" * 20, "landed": 1000, "quarantined": 0,
    }  # fmt: skip
    replaced = {"quality": quality, "drift": drift, "decision": decision}
    parts = {name: {**part, **more.pop(name, {})} for name, part in replaced.items()}
    return content | parts | more


def findings(**more: Any) -> dict[str, Any]:
    """What the monitor finds where nothing has moved; ``more`` replaces fields."""
    nothing = {"rows": 1000, "days": 7, "metrics": [], "reason": "a regression has no probabilities"}
    gain = {
        "metric": "mae", "baseline": "a constant", "candidate_value": 0.45, "baseline_value": 0.6, "gain": 0.15,
        "interval": [0.1, 0.2], "better": True, "rows": 950, "blocks": 7,
        "sentence": "mae is 0.15 better than that of a constant (gain +0.1 to +0.2)",
    }  # fmt: skip
    content = {
        "days": [], "gain": gain, "ahead": nothing, "held": nothing, "changes": [change()], "label": None,
        "slices": [], "calibration": None, "gate_calibration": None, "value": None,
        "outliers": {"features": [outliers("feature 0")], "prediction": None}, "together": None, "shifts": [],
        "losses": {},
    }  # fmt: skip
    return content | more


def change(*, computed: bool = True, drifted: bool = False) -> dict[str, Any]:
    reason = "the loss is what it was" if computed else "3 days are too few to begin with"
    return {"what": "all rows", "computed": computed, "drifted": drifted, "reason": reason}


def outliers(name: str, *, alarm: bool = False) -> dict[str, Any]:
    return {"name": name, "computed": True, "alarm": alarm, "reasons": ["more than the reference has"]}


def feature(name: str, *, drifted: bool = False, bins: int = 0) -> dict[str, Any]:
    histogram = None
    if bins:
        shares = [1 / bins] * bins
        edges = [float(index) for index in range(bins + 1)]
        histogram = {
            "labels": [str(edge) for edge in edges[:-1]],
            "reference": shares,
            "current": shares,
            "edges": edges,
        }
    return {
        "name": name, "kind": "numeric", "computed": True, "drifted": drifted, "reasons": [f"{name} was measured"],
        "n_reference": 9000, "n_current": 1000, "effect": 0.2 if drifted else 0.01, "statistic": 0.1, "p_value": 0.5,
        "q_value": 0.5, "psi": 0.01, "missing_reference": 0.0, "missing_current": 0.0, "missing_p_value": None,
        "missing_q_value": None, "new_categories": [], "gone_categories": [], "histogram": histogram,
    }  # fmt: skip


def keep(use_case: str, count: int, versions: Sequence[int] = (1,), **more: Any) -> list[str]:
    """So many weeks, watched one after the other, the versions in turn; their keys."""
    keys = [(FIRST + timedelta(weeks=number)).isoformat() for number in range(count)]
    for number, key in enumerate(keys):
        version = versions[number * len(versions) // count]
        write_json(record_file(use_case, key), record(use_case, key, number, model_version=version, **more))
    return keys
