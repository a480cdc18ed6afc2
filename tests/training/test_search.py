"""The search finds what is better on the folds, and says what it tried and why it ended."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from include.training.search import SearchError
from tests.training.searches import ALPHA, RIDGE, TREES, config, rows, searched, trees


def test_the_search_finds_better_parameters_than_the_configured_ones(tmp_path: Path) -> None:
    told: list[tuple[int, dict[str, Any], float | None, str]] = []
    found = searched(
        tmp_path,
        config("regression", RIDGE, space=ALPHA, trials=8),
        on_trial=lambda *trial: told.append(trial),
    )
    first = told[0]
    assert first[1] == {"seed": 20130101, "alpha": 5000.0}
    assert first[2] is not None and found.value < first[2]
    assert [number for number, *_ in told] == list(range(1, 9))
    assert found.trials == 8
    assert found.reason == "all 8 trials were tried"
    best = min((trial for trial in told if trial[3] == "complete"), key=lambda trial: trial[2] or 0)
    assert (found.number, found.params, found.value) == best[:3]


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), alpha=st.floats(1e-3, 1e4))
def test_what_is_found_is_never_worse_than_what_was_configured(
    tmp_path_factory: pytest.TempPathFactory, seed: int, alpha: float
) -> None:
    use_case = config("regression", {"alpha": alpha}, space=ALPHA, trials=3)
    told: list[float | None] = []
    found = searched(
        tmp_path_factory.mktemp("study"),
        use_case,
        of=rows("regression", seed, 300),
        on_trial=lambda number, params, value, state: told.append(value),
    )
    assert told[0] is not None and found.value <= told[0]


def test_the_same_seed_finds_the_same_parameters(tmp_path: Path) -> None:
    use_case = config("classification", {"max_iter": 4, "learning_rate": 0.1}, space=TREES, trials=12)
    found = [searched(tmp_path / name, use_case, trees) for name in ("a", "b")]
    assert found[0] == found[1]


def test_values_are_of_the_space_and_of_its_kinds(tmp_path: Path) -> None:
    space = {
        "whole": {"low": 2, "high": 8, "step": 2},
        "share": {"low": 0, "high": 1.5, "step": 0.5},
        "alpha": {"low": 0.1, "high": 1.0},
        "kind": {"choices": ["auto", None, 3, True]},
    }
    told: list[dict[str, Any]] = []
    searched(
        tmp_path,
        config("regression", {"other": 7}, space=space, trials=15),
        lambda params: Ridge(alpha=params.get("alpha", 1.0)),
        on_trial=lambda number, params, value, state: told.append(params),
    )
    assert told[0] == {"seed": 20130101, "other": 7}  # what the file leaves to build() is left to build()
    for params in told[1:]:
        assert type(params["whole"]) is int and params["whole"] in (2, 4, 6, 8)
        assert type(params["share"]) is float and params["share"] in (0, 0.5, 1.0, 1.5)
        assert 0.1 <= params["alpha"] <= 1.0
        assert params["kind"] in ("auto", None, 3, True)
        assert params["other"] == 7


@pytest.mark.parametrize("alpha", [99999.0, 0.0, 7, "auto", None, True])
def test_the_first_trial_is_what_is_configured_also_outside_of_the_space(tmp_path: Path, alpha: Any) -> None:
    told: list[dict[str, Any]] = []
    searched(
        tmp_path,
        config("regression", {"alpha": alpha}, space=ALPHA, trials=2),
        lambda params: Ridge(alpha=params["alpha"] if isinstance(params["alpha"], float) else 1.0),
        on_trial=lambda number, params, value, state: told.append(params),
    )
    assert told[0]["alpha"] == alpha
    assert 0.001 <= told[1]["alpha"] <= 10000


def test_what_was_asked_for_by_hand_is_not_searched(tmp_path: Path) -> None:
    use_case = config("regression", RIDGE, space=ALPHA)
    found = searched(tmp_path, use_case, overrides={"alpha": 3.0})
    assert found.params["alpha"] == 3.0
    assert found.trials == 1


def test_a_score_is_maximized(tmp_path: Path) -> None:
    use_case = config("classification", {"max_iter": 1, "learning_rate": 0.01}, space=TREES, trials=4)
    champion = use_case.gate.champion.model_copy(update={"metric": "roc_auc"})
    use_case = use_case.model_copy(update={"gate": use_case.gate.model_copy(update={"champion": champion})})
    values: list[float] = []
    found = searched(tmp_path, use_case, trees, on_trial=lambda number, params, value, state: values.append(value or 0))
    assert found.value == max(values) > 0.5


def test_a_trial_that_is_worse_than_the_median_is_given_up(tmp_path: Path) -> None:
    def states(folder: str, pruning: bool, trials: int) -> list[str]:
        told: list[str] = []
        space = {"alpha": {"low": 1.0, "high": 1e6, "log": True}}
        searched(
            tmp_path / folder,
            config("regression", {"alpha": 1e6}, space=space, trials=trials, pruning=pruning),
            on_trial=lambda number, params, value, state: told.append(state),
        )
        return told

    pruned = states("pruning", True, 12)
    assert pruned[0] == "complete"
    assert "pruned" in pruned
    assert states("patient", False, 8) == ["complete"] * 8


def test_trials_that_fail_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told: list[tuple[str, float | None]] = []
    space = {"alpha": {"choices": [1.0, -1.0]}}
    with caplog.at_level(logging.INFO):
        found = searched(
            tmp_path,
            config("regression", {"alpha": -1.0}, space=space, trials=6),
            on_trial=lambda number, params, value, state: told.append((state, value)),
        )
    assert told[0] == ("failed", None)
    assert found.params["alpha"] == 1.0
    assert found.trials == 6
    assert "trial 1 of 6: Ridge with {'seed': 20130101, 'alpha': -1.0}" in caplog.text
    assert ", best none yet" in caplog.text
    assert not [record for record in caplog.records if record.name.startswith("optuna")]


def test_where_all_trials_fail_the_first_cause_is_told(tmp_path: Path) -> None:
    space = {"alpha": {"low": -2.0, "high": -1.0}}
    with pytest.raises(SearchError, match=r"all 3 trials of the search failed; the first: Ridge with .*-1\.5.*alpha"):
        searched(tmp_path, config("regression", {"alpha": -1.5}, space=space, trials=3))


def test_predictions_that_are_no_numbers_fail_their_trial(tmp_path: Path) -> None:
    class Endless(Ridge):  # type: ignore[misc]
        def predict(self, X: Any) -> Any:
            return super().predict(X) / 0

    with np.errstate(all="ignore"), pytest.raises(SearchError, match=r"the first: fold 1 .*alpha.*infinity"):
        searched(tmp_path, config("regression", RIDGE, space=ALPHA, trials=2), lambda params: Endless())


def test_each_trial_is_a_line_of_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="include.training"):
        found = searched(tmp_path, config("regression", RIDGE, space=ALPHA, trials=3))
    assert [record.message.split(":")[0] for record in caplog.records][:3] == [f"trial {n} of 3" for n in (1, 2, 3)]
    assert f"best {found.value:.4g} (trial {found.number})" in caplog.records[2].message


def test_a_use_case_without_a_search_is_refused(tmp_path: Path) -> None:
    use_case = config("regression", RIDGE, space=ALPHA)
    use_case = use_case.model_copy(update={"training": use_case.training.model_copy(update={"search": None})})
    with pytest.raises(SearchError, match=r"training\.search is empty"):
        searched(tmp_path, use_case)


def test_the_callers_logging_is_as_before(tmp_path: Path) -> None:
    before = optuna.logging.get_verbosity()
    searched(tmp_path, config("regression", RIDGE, space=ALPHA, trials=1))
    assert optuna.logging.get_verbosity() == before
