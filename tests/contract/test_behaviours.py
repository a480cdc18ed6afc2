"""What an author writes is checked where it is written, and every use case's behaviours hold of a model of its kind."""

import numpy as np
import polars as pl
import pytest

from include.contract.behaviours import Direction, Example, Invariance
from include.contract.loading import Folder, load_use_case
from include.gate.behaviour import examine
from include.registry.model_input import features_of, to_model_input

SAME = lambda rows: rows  # noqa: E731


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Invariance("", SAME, 1), "Invariance '': name must not be empty"),
        (lambda: Invariance("same", SAME, -0.1), "tolerance must be at least 0, got -0.1"),
        (lambda: Invariance("same", SAME, float("nan")), "tolerance must be at least 0, got nan"),
        (lambda: Invariance("same", SAME, 1, share=0), "share must be above 0 and at most 1, got 0"),
        (lambda: Direction("", SAME, "up"), "name must not be empty"),
        (lambda: Direction("same", SAME, "higher"), "Direction 'same': sign must be up or down, got 'higher'"),
        (lambda: Direction("same", SAME, "up", share=1.1), "share must be above 0 and at most 1, got 1.1"),
        (lambda: Example("", [{"x": 1}], low=0), "name must not be empty"),
        (lambda: Example("one", [], low=0), "there are no rows"),
        (lambda: Example("one", pl.DataFrame({"x": []}), low=0), "there are no rows"),
        (lambda: Example("one", [{"x": 1}]), "low or high must be given"),
        (lambda: Example("one", [{"x": 1}], low=2, high=1), "low must be at most high, got 2 and 1"),
        (lambda: Example("one", [{"x": 1}], low=float("nan"), high=1), "low must be at most high"),
    ],
)
def test_a_behaviour_that_says_nothing_is_refused(build, said):
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        build()


def weather(rows: int) -> pl.DataFrame:
    generator = np.random.default_rng(1)
    temp = generator.normal(50, 15, rows)
    return pl.DataFrame(
        {
            "temp": temp,
            "dewp": temp - 10,
            "pressure": generator.normal(1015, 5, rows),
            "hour": np.arange(rows) % 24,
            "temp_mean": temp + generator.normal(0, 3, rows),
            "season": np.where(temp < 45, "winter", "other"),
        }
    )


@pytest.mark.parametrize(("slope", "passes"), [(0.8, True), (-0.8, False)])
def test_the_samples_behaviours_tell_a_sensible_model_from_a_wrong_one(stations: Folder, slope: float, passes: bool):
    rows = weather(600)
    features = features_of(rows.to_pandas())
    model = stations.model.build({"alpha": 1.0, "seed": 1})
    model.fit(to_model_input(rows.to_pandas(), features), 50 + slope * (rows["temp"].to_numpy() - 50))
    found = examine(stations.behaviours, lambda frame: model.predict(to_model_input(frame.to_pandas(), features)), rows)
    assert {each.kind for each in found} == {"direction", "invariance", "example"}
    assert all(each.passed for each in found) is passes


def flights(rows: int) -> pl.DataFrame:
    """Columns of the kinds that the model of the flights reads, filled by chance."""
    generator = np.random.default_rng(2)
    names = [
        *(f"{key}_late_rate_7d" for key in ("carrier", "dest", "line", "tail")),
        *(f"{key}_mean_delay_7d" for key in ("carrier", "dest", "line", "tail")),
        "line_last_delay",
        "weather_temp",
        "distance",
        "block_minutes",
    ]
    numbers = {name: generator.random(rows) * (1 if "rate" in name else 60) for name in names}
    times = {
        "departure_minute": generator.integers(300, 1300, rows),
        "arrival_minute": generator.integers(400, 1400, rows),
        "aircraft_leg": generator.integers(1, 6, rows),
        "since_previous_arrival": generator.integers(20, 300, rows),
        "plane_year": generator.integers(1990, 2013, rows),
    }
    texts = {"origin_airport": ["EWR"] * rows, "destination": ["LAX"] * rows}
    return pl.DataFrame({**numbers, **times, **texts})


def test_the_behaviours_of_the_flights_tell_a_sensible_model_from_a_wrong_one():
    def risk(frame: pl.DataFrame) -> np.ndarray:
        late = frame.select(pl.mean_horizontal(pl.col("^.*_late_rate_.*$"))).to_series().fill_null(0.3)
        turn = frame["since_previous_arrival"].fill_null(180).clip(0, 180)
        return (0.05 + 0.5 * late + frame["departure_minute"] / 6000 + (180 - turn) / 900).to_numpy()

    written = load_use_case("flight_delay").behaviours
    assert [each.passed for each in examine(written, risk, flights(500))] == [True] * 9
    wrong = examine(written, lambda frame: 1 - risk(frame), flights(500))
    assert [each.passed for each in wrong if each.kind != "invariance"] == [False] * 6
