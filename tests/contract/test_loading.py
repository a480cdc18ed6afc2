from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.contract.loading import UseCaseError, discover_use_cases, load_use_case, read_config

SAMPLE = Path(__file__).parents[1] / "use_cases" / "station_temperature"
REAL = Path(__file__).parents[2] / "include" / "use_cases"


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], object]], Path]:
    """A copy of the sample whose configuration was changed."""

    def change(edit: Callable[[dict[str, Any]], object]) -> Path:
        folder = tmp_path / SAMPLE.name
        shutil.copytree(SAMPLE, folder)
        content = yaml.safe_load((folder / "use_case.yaml").read_text())
        edit(content)
        (folder / "use_case.yaml").write_text(yaml.safe_dump(content))
        return folder / "use_case.yaml"

    return change


@pytest.mark.parametrize(
    "file", [SAMPLE / "use_case.yaml", *REAL.glob("*/use_case.yaml")], ids=lambda file: file.parent.name
)
def test_every_use_case_of_the_repository_is_valid(file: Path) -> None:
    assert read_config(file).name == file.parent.name


def test_durations_are_written_with_a_unit() -> None:
    assert read_config(SAMPLE / "use_case.yaml").training.test == timedelta(weeks=2)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda c: c.pop("owners"), "owners: Field required"),
        (lambda c: c.update(owners=[]), "owners: Tuple should have at least 1 item"),
        (lambda c: c.update(colour="green"), "colour: Extra inputs are not permitted"),
        (lambda c: c.update(name="other"), "must be the name of its folder"),
        (lambda c: c.update(name="Station Temperature"), "name: String should match pattern"),
        (lambda c: c.update(task="ranking"), "task: Input should be 'classification' or 'regression'"),
        (lambda c: c.update(timezone="Mars/Olympus"), "is no IANA time zone"),
        (lambda c: c.update(cadence="hourly", timezone="America/New_York"), "a local hour can occur twice"),
        (lambda c: c["label"].update(delay="1 day"), "label.delay: Value error, expected a number with a unit"),
        (lambda c: c["gate"].update(limits={}), "gate.limits: Dictionary should have at least 1 item"),
        (lambda c: c["gate"]["limits"].update(rmse={}), "a limit needs min or max"),
        (lambda c: c["gate"]["limits"].update(roc_auc={"min": 0.5}), "gate.limits.roc_auc: 'roc_auc' is no metric"),
        (
            lambda c: c["gate"]["limits"].update(f1={"min": 0.5}),
            "gate.limits.f1: 'f1' is no metric of a regression",
        ),
        (lambda c: c["gate"]["limits"].update(max_error={"min": -9}), "did you mean neg_max_error"),
        (lambda c: c["gate"]["limits"].update(rand_score={"min": 0}), "it compares clusterings"),
        (
            lambda c: c["gate"]["limits"].update(neg_max_error={"max": 9}),
            "gate.limits.neg_max_error.max: 9 limits nothing, since neg_max_error is never above 0",
        ),
        (lambda c: c["gate"]["champion"].update(metric="neg_max_error"), "expected one of mae, r2, rmse"),
        (lambda c: c["gate"]["champion"].update(confidence=1.5), "gate.champion.confidence"),
        (lambda c: c["monitoring"]["quality"].update(metric="accuracy"), "'accuracy' is no metric of a regression"),
        (lambda c: c.update(serving={"threshold": 0.5}), "a regression has none"),
        (lambda c: c["training"].update(minimum_rows="many"), "training.minimum_rows"),
    ],
)
def test_a_wrong_configuration_names_file_and_key(
    changed: Callable[[Callable[[dict[str, Any]], object]], Path], edit: Callable[[dict[str, Any]], object], said: str
) -> None:
    file = changed(edit)
    with pytest.raises(UseCaseError) as caught:
        read_config(file)
    assert str(file) in str(caught.value)
    assert said in str(caught.value)


def test_a_limit_may_name_a_scorer_of_scikit_learn(
    changed: Callable[[Callable[[dict[str, Any]], object]], Path],
) -> None:
    file = changed(lambda c: c["gate"]["limits"].update(neg_median_absolute_error={"min": -5.0}))
    assert read_config(file).gate.limits["neg_median_absolute_error"].min == -5.0


@pytest.mark.parametrize("content", ["a: [", "- a list", "", "\x00"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "use_case.yaml"
    file.write_text(content)
    with pytest.raises(UseCaseError, match=r"use_case\.yaml"):
        read_config(file)


def test_a_broken_use_case_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "use_case.yaml").write_text("name: broken")
    discovery = discover_use_cases((SAMPLE.parent, tmp_path))
    assert list(discovery.found) == ["station_temperature"]
    with pytest.raises(UseCaseError, match=r"broken/use_case\.yaml"):
        discovery.raise_for_errors()


def test_one_name_twice_is_refused() -> None:
    discovery = discover_use_cases((SAMPLE.parent, SAMPLE.parent))
    with pytest.raises(UseCaseError, match="'station_temperature' is taken by"):
        discovery.raise_for_errors()


def test_an_unknown_use_case_is_answered_with_the_known(home: Path) -> None:
    with pytest.raises(UseCaseError, match="'tides'; there are station_temperature"):
        load_use_case("tides")


@pytest.mark.parametrize(
    ("module", "content", "said"),
    [
        ("source", None, r"source\.py: missing; a use case needs it with read"),
        ("source", "X = 1\n", r"source\.py: has no function read\(\)"),
        ("features", "def views(window): ...\n", r"features\.py: has no function labels\(\)"),
        ("behaviours", "X = 1\n", r"behaviours\.py: has no function behaviours\(\)"),
    ],
)
def test_a_missing_function_is_named(
    changed: Callable[[Callable[[dict[str, Any]], object]], Path], module: str, content: str | None, said: str
) -> None:
    folder = changed(lambda content: None).parent
    (folder / f"{module}.py").unlink()
    if content is not None:
        (folder / f"{module}.py").write_text(content)
    found = discover_use_cases((folder.parent,)).found["station_temperature"]
    with pytest.raises(UseCaseError, match=said):
        _ = getattr(found, module)


def test_behaviours_are_optional(changed: Callable[[Callable[[dict[str, Any]], object]], Path]) -> None:
    folder = changed(lambda content: None).parent
    found = discover_use_cases((folder.parent,)).found["station_temperature"]
    assert callable(found.behaviours.behaviours)
    (folder / "behaviours.py").unlink()
    assert found.behaviours is None
