"""The search finds what is better on the folds, survives being killed, and says why it ended."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import polars as pl
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import Ridge

from include.contract.use_case import UseCase
from include.settings import REPOSITORY
from include.training.fitting import Examples
from include.training.folds import Fold, rolling_origin
from include.training.search import Found, SearchError, search

ALPHA = {"alpha": {"low": 0.001, "high": 10000.0, "log": True}}
RIDGE = {"alpha": 5000.0}
TREES = {"max_iter": {"low": 2, "high": 5}, "learning_rate": {"low": 0.05, "high": 0.5}}
DIES_AT = 4


def config(task: str, params: dict[str, Any], **options: Any) -> UseCase:
    content = yaml.safe_load((REPOSITORY / "include/use_cases/flight_delay/use_case.yaml").read_text(encoding="utf-8"))
    content["training"] |= {"params": params, "search": {"trials": 6, **options}}
    if task == "regression":
        content["task"] = task
        content["serving"] = {}
        content["monitoring"]["quality"]["metric"] = content["gate"]["champion"]["metric"] = "mae"
        content["gate"]["limits"] = {"mae": {"max": 5}}
    return UseCase.model_validate(content)


def rows(task: Any, seed: int = 0, count: int = 600) -> tuple[Examples, list[Fold]]:
    generator = np.random.default_rng(seed)
    hours = np.sort(generator.integers(0, 24 * 60, count))
    times = pl.Series(
        [datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=int(hour)) for hour in hours],
        dtype=pl.Datetime("us", "UTC"),
    )
    frame = pd.DataFrame({f"x{number}": generator.normal(size=count) for number in range(4)})
    labels = frame["x0"] + frame["x1"] * frame["x2"] + generator.normal(size=count)
    if task == "classification":
        labels = (labels > 0).astype(float)
    folds = rolling_origin(times, times + timedelta(days=1), 3, timedelta(days=10))
    return Examples(task, frame, labels.to_numpy()), folds


def ridge(params: dict[str, Any]) -> Any:
    return Ridge(alpha=params["alpha"], random_state=params["seed"])


def trees(params: dict[str, Any]) -> Any:
    return HistGradientBoostingClassifier(
        max_iter=params["max_iter"], learning_rate=params["learning_rate"], random_state=params["seed"]
    )


def searched(path: Path, use_case: UseCase, build: Any = ridge, **options: Any) -> Found:
    examples, folds = options.pop("of", None) or rows(use_case.task)
    return search(use_case, build, examples, folds, storage=path / "studies.db", study="one", **options)


def dies(path: str) -> None:
    """A search whose process is there to be killed in its fourth trial."""
    numbers: list[int] = []

    def build(params: dict[str, Any]) -> Any:
        if len(numbers) == DIES_AT - 1:
            print("hangs", flush=True)
            time.sleep(600)
        return ridge(params)

    use_case = config("regression", RIDGE, space=ALPHA, trials=8)
    searched(Path(path), use_case, build, on_trial=lambda number, *_: numbers.append(number))


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


def test_no_trial_is_begun_after_the_timeout_counted_from_the_first_start(tmp_path: Path) -> None:
    use_case = config("regression", RIDGE, space=ALPHA, trials=5, timeout="0m")
    found = searched(tmp_path, use_case)
    assert (found.trials, found.params["alpha"]) == (1, 5000.0)  # something must be found
    assert found.reason == "0:00:00 were over after 1 of 5 trials"
    assert searched(tmp_path, use_case).trials == 1
    assert searched(tmp_path, config("regression", RIDGE, space=ALPHA, trials=5)).trials == 5


def test_a_killed_search_is_resumed_and_loses_no_trial_that_was_complete(tmp_path: Path) -> None:
    code = f"from tests.training.test_search import dies; dies({str(tmp_path)!r})"
    with subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hangs\n"
        process.kill()
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    before = optuna.load_study(study_name="one", storage=url).trials
    assert [trial.state.name for trial in before] == ["COMPLETE"] * 3 + ["RUNNING"]
    told: list[tuple[int, str, float | None]] = []
    found = searched(
        tmp_path,
        config("regression", RIDGE, space=ALPHA, trials=8),
        on_trial=lambda number, params, value, state: told.append((number, state, value)),
    )
    after = optuna.load_study(study_name="one", storage=url).trials
    assert found.trials == len(after) == 8
    assert [(trial.params, trial.value) for trial in after[:3]] == [(trial.params, trial.value) for trial in before[:3]]
    assert after[3].state.name == "FAIL"
    assert not [trial for trial in after if trial.state.name in ("RUNNING", "WAITING")]
    # All are told again, so that who was killed with the search knows them too; none is drawn twice.
    assert [number for number, *_ in told] == list(range(1, 9))
    assert told[3][1:] == ("failed", None)
    assert len({trial.params["alpha"] for trial in after}) == 8


def test_configured_parameters_whose_trial_was_cut_off_are_tried_again(tmp_path: Path) -> None:
    use_case = config("regression", RIDGE, space=ALPHA, trials=3)

    def cut_off(params: dict[str, Any]) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path, use_case, cut_off)
    told: list[tuple[float, str]] = []
    found = searched(
        tmp_path, use_case, on_trial=lambda number, params, value, state: told.append((params["alpha"], state))
    )
    assert [told[0], told[1]] == [(5000.0, "failed"), (5000.0, "complete")]
    assert found.trials == 3


def test_an_ended_search_answers_at_once(tmp_path: Path) -> None:
    use_case = config("regression", RIDGE, space=ALPHA, trials=3)
    found = searched(tmp_path, use_case)
    assert searched(tmp_path, use_case, lambda params: None) == found


def test_a_study_is_not_continued_with_another_question(tmp_path: Path) -> None:
    searched(tmp_path, config("regression", RIDGE, space=ALPHA, trials=2))
    with pytest.raises(SearchError, match=r"study one in .*studies\.db was begun with another space"):
        searched(tmp_path, config("regression", {"alpha": 1.0}, space=ALPHA, trials=2))
    with pytest.raises(SearchError, match="give the search another name"):
        searched(tmp_path, config("regression", RIDGE, space=ALPHA), of=rows("regression", 1))


def test_a_file_that_is_no_study_is_named(tmp_path: Path) -> None:
    (tmp_path / "studies.db").write_text("no database" * 100)
    with pytest.raises(SearchError, match=r"studies\.db: cannot be opened: .*remove it"):
        searched(tmp_path, config("regression", RIDGE, space=ALPHA))


def test_a_use_case_without_a_search_is_refused(tmp_path: Path) -> None:
    use_case = config("regression", RIDGE, space=ALPHA)
    use_case = use_case.model_copy(update={"training": use_case.training.model_copy(update={"search": None})})
    with pytest.raises(SearchError, match=r"training\.search is empty"):
        searched(tmp_path, use_case)


def test_the_callers_logging_is_as_before(tmp_path: Path) -> None:
    before = optuna.logging.get_verbosity()
    searched(tmp_path, config("regression", RIDGE, space=ALPHA, trials=1))
    assert optuna.logging.get_verbosity() == before
