"""A search survives being killed, goes on with its study and with no other, and ends when it is time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest

from include.settings import REPOSITORY
from include.training.search import SearchError
from tests.training.searches import ALPHA, RIDGE, config, rows, searched


def test_no_trial_is_begun_after_the_timeout_counted_from_the_first_start(tmp_path: Path) -> None:
    use_case = config("regression", RIDGE, space=ALPHA, trials=5, timeout="0m")
    found = searched(tmp_path, use_case)
    assert (found.trials, found.params["alpha"]) == (1, 5000.0)  # something must be found
    assert found.reason == "0:00:00 were over after 1 of 5 trials"
    assert searched(tmp_path, use_case).trials == 1
    assert searched(tmp_path, config("regression", RIDGE, space=ALPHA, trials=5)).trials == 5


def test_a_killed_search_is_resumed_and_loses_no_trial_that_was_complete(tmp_path: Path) -> None:
    code = f"from tests.training.searches import dies; dies({str(tmp_path)!r})"
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
