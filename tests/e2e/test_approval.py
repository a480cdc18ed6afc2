"""A person decides: by the API, by clicking in Airflow's own page, or not at all until the deadline."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as conditions
from selenium.webdriver.support.ui import WebDriverWait

from include.contract.loading import FILE
from include.demo.steps import Tour
from include.history import log as history
from include.history.log import Entry
from include.local.airflow_records import Run
from include.local.credentials import USER
from include.settings import get_settings

pytestmark = pytest.mark.e2e

DEADLINE = 1  # minutes


@pytest.fixture(scope="module")
def asking(tour: Tour, first: dict[str, Any]) -> Iterator[Tour]:
    """The use case wants a person's approval, and its gate lets every model pass that is not far worse."""
    file = tour.use_case.path / FILE
    before = file.read_text()
    content = yaml.safe_load(before)
    content["approval"] = {"required": True, "deadline": f"{DEADLINE}m"}
    content["gate"]["champion"] |= {"rule": "non-inferiority", "margin": 20.0}
    file.write_text(yaml.safe_dump(content))
    until(lambda: "approve" in tour.airflow.task_ids(f"{tour.name}.promote"))
    yield tour
    file.write_text(before)
    until(lambda: "approve" not in tour.airflow.task_ids(f"{tour.name}.promote"))


def until(condition: Any, timeout: float = 120.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def waiting(tour: Tour, alpha: float) -> Run:
    """A candidate's promotion that waits for an answer."""
    training = tour.train({"model_params": {"alpha": alpha}, "reason": "for approval"})
    run = tour.airflow.find_run(f"{tour.name}.promote", upstream=training)
    until(lambda: state(tour, run, "approve") == "awaiting_input")
    return run


def state(tour: Tour, run: Run, task: str) -> str | None:
    return next((each.state for each in tour.airflow.tasks(run) if each.task_id == task), None)


def decided(run: Run, kind: str) -> list[Entry]:
    return [each for each in history.read(run.dag_id.split(".")[0]) if each.origin == run.run_id and each.kind == kind]


def test_a_rejection_by_the_api_changes_nothing_and_is_kept_with_its_note(asking: Tour) -> None:
    served = asking.served()
    run = waiting(asking, alpha=30.0)
    question = asking.airflow.question(run, "approve")
    assert "| check | verdict | reason |" in question["body"]
    assert f"version {served}" in question["body"]
    asking.airflow.answer(run, "approve", "Reject", {"note": "not before the holidays"})
    asking.airflow.wait(run)
    (approval,) = decided(run, "approval")
    assert (approval.outcome, approval.actor, approval.note) == ("rejected", USER, "not before the holidays")
    assert state(asking, run, "switch") == "skipped"
    assert not decided(run, "promotion")
    assert asking.served() == served


def test_no_answer_until_the_deadline_is_a_rejection(asking: Tour) -> None:
    served = asking.served()
    run = waiting(asking, alpha=60.0)
    asking.airflow.wait(run, timeout=60 * DEADLINE + 120)
    (approval,) = decided(run, "approval")
    assert (approval.outcome, approval.actor) == ("rejected", "deadline")
    assert state(asking, run, "switch") == "skipped"
    assert asking.served() == served


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromedriver") is None, reason="needs Chromium and its driver (chromium-driver)")
def test_an_approval_by_clicking_brings_the_version_into_production(asking: Tour) -> None:
    from docs.screenshots import browser, sign_in

    served = asking.served()
    run = waiting(asking, alpha=90.0)
    with browser(1300, 1400) as driver:
        wait = WebDriverWait(driver, 40)
        sign_in(driver, get_settings())
        driver.get(f"{get_settings().airflow_url}/dags/{run.dag_id}/runs/{run.run_id}/tasks/approve/required_actions")
        note = wait.until(conditions.element_to_be_clickable((By.ID, "element_note")))
        assert "go into production?" in driver.find_element(By.TAG_NAME, "body").text
        picture = wait.until(conditions.presence_of_element_located((By.CSS_SELECTOR, "img[alt='Gain by day']")))
        wait.until(lambda _: driver.execute_script("return arguments[0].naturalWidth", picture) > 0)
        note.send_keys("looks good")
        wait.until(conditions.element_to_be_clickable((By.XPATH, "//button[normalize-space()='Approve']"))).click()
    asking.airflow.wait(run)
    (approval,), (promotion,) = decided(run, "approval"), decided(run, "promotion")
    assert (approval.outcome, approval.actor, approval.note) == ("approved", USER, "looks good")
    assert (promotion.outcome, promotion.actor, promotion.note) == ("promoted", USER, "looks good")
    assert promotion.version == asking.served() != served
    assert history.verify(asking.name) == ()
