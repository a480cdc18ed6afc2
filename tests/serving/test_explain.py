from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from include.registry import models
from include.serving.explanations import EXPLAINED_ROWS
from include.serving.schemas import PredictResponse
from tests.model_store import register_classifier, register_constant
from tests.serving.conftest import TRIPS

Serve = Callable[..., Any]
ROW = {"distance": 900, "carrier": "AA", "night": True}


def test_base_and_contributions_give_the_prediction(serve: Serve, use_case: str) -> None:
    models.set_alias(use_case, models.CHAMPION, register_classifier(use_case).version)
    with serve("classification") as client:
        body = client.post(
            f"/v1/{use_case}/predict", json={"entities": [{"trip_id": 1}, {"trip_id": 2}], "explain": True}
        )
        rows = client.post(f"/v1/{use_case}/predict", json={"rows": list(TRIPS.values()), "explain": True})
    PredictResponse.model_validate_json(body.text)
    for each in body.json()["predictions"]:
        why, value = each["explanation"], each["prediction"]
        assert why["unit"] == "probability"
        assert why["base"] + sum(one["effect"] for one in why["contributions"]) == pytest.approx(value, abs=1e-9)
        margin = why["margin_base"] + sum(one["margin"] for one in why["contributions"])
        assert why["link"] == "logit"
        assert margin == pytest.approx(math.log(value / (1 - value)), abs=1e-6)
        assert {one["column"]: one["value"] for one in why["contributions"]} == each["features"]
    assert [each["explanation"] for each in rows.json()["predictions"]] == [
        each["explanation"] for each in body.json()["predictions"]
    ]


def test_without_asking_nothing_is_explained(serve: Serve, use_case: str) -> None:
    models.set_alias(use_case, models.CHAMPION, register_classifier(use_case).version)
    with serve("classification") as client:
        (each,) = client.post(f"/v1/{use_case}/predict", json={"rows": [ROW]}).json()["predictions"]
    assert (each["features"], each["explanation"]) == (None, None)


def test_a_new_version_is_explained_by_itself(serve: Serve, use_case: str) -> None:
    for number in (1, 2):
        register_constant(use_case, float(number))
    with serve() as client:
        for number in (1, 2):
            models.set_alias(use_case, models.CHAMPION, number)
            client.follower.poll()
            asked = {"rows": [ROW], "explain": True}
            (each,) = client.post(f"/v1/{use_case}/predict", json=asked).json()["predictions"]
            assert each["explanation"]["prediction"] == number
            assert each["explanation"]["unit"] == "value"


def test_only_some_rows_are_explained_at_once(serve: Serve, use_case: str) -> None:
    models.set_alias(use_case, models.CHAMPION, register_classifier(use_case).version)
    with serve("classification") as client:
        fits, more = (
            client.post(f"/v1/{use_case}/predict", json={"rows": [ROW] * count, "explain": True})
            for count in (EXPLAINED_ROWS, EXPLAINED_ROWS + 1)
        )
    assert fits.status_code == 200
    assert more.status_code == 422
    assert more.json()["errors"][0]["field"] == "explain"
