"""A short loop in the real system: Airflow's scheduler runs the DAGs, MLflow and serving are servers of their own."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as conditions
from selenium.webdriver.support.ui import WebDriverWait

from include.demo.steps import Tour
from include.features import compute
from include.features.stale import stale
from include.files import read_json
from include.history import log as history
from include.ingestion import ingest, versions
from include.local.airflow_client import AirflowError, RunFailedError
from include.local.airflow_records import Run
from include.local.credentials import USER, load_credentials
from include.monitoring import observation, parity
from include.monitoring.parity import Parity
from include.registry import models
from include.serving import batch_log
from include.settings import get_settings
from tests.e2e.conftest import approval_required, asked, decided, state

pytestmark = pytest.mark.e2e

DEADLINE = 1  # minutes to answer


def test_a_candidate_goes_from_raw_data_into_production(tour: Tour, first: dict[str, Any]) -> None:
    assert first["outcome"] == "approved"
    assert first["champion_before"] is None
    assert first["served"] == first["version"] == 1


def test_a_served_prediction_names_its_version_and_its_features(tour: Tour, first: dict[str, Any]) -> None:
    as_of = tour.use_case.config.calendar.partition("2013-03-04").cutoff
    answer = tour.predict({"station": "EWR"}, as_of)
    assert answer["model"]["version"] == tour.served()
    (prediction,) = answer["predictions"]
    assert -40 < prediction["prediction"] < 130
    assert set(prediction["features"]) == set(models.get(tour.name, 1).features)


def assert_judged(tour: Tour, verdict: dict[str, Any], champion: int) -> None:
    """A challenger was held against the champion, and what is served follows the verdict."""
    assert verdict["champion_before"] == champion
    assert verdict["reasons"]
    assert tour.served() == (verdict["version"] if verdict["outcome"] == "approved" else champion)


def test_weeks_are_scored_and_watched_and_a_challenger_is_judged(tour: Tour, first: dict[str, Any]) -> None:
    for span in ("2013-03-11", "2013-03-18/2013-03-25"):
        champion = tour.served()
        week = tour.watch(span, tour.ingest(span))
        assert week.champion == champion
        if week.decision == "retrain":
            assert_judged(tour, tour.promote(tour.retraining(week)), champion)
    champion = tour.served()
    assert_judged(tour, tour.promote(tour.train({"window": "6w", "reason": "by hand"})), champion)
    page = observation.report_file(tour.name, "2013-03-25").read_text(encoding="utf-8")
    assert tour.use_case.config.title in page


def test_the_served_features_are_those_of_the_offline_store(tour: Tour, first: dict[str, Any]) -> None:
    """The served prediction was for the moment at which the first of the watched weeks begins.

    What was measured at that very hour came with this week's batch, when the prediction had long been made.
    """
    found = Parity.from_dict(read_json(parity.record_file(tour.name, "2013-03-11")))
    assert found.sampled == 1
    assert {each.feature for each in found.features} == set(models.get(tour.name, 1).features)
    assert found.skewed == ()
    assert {each.feature for each in found.late} <= {"temp", "dewp", "pressure", "hour", "season"}


def test_a_rollback_without_an_earlier_champion_fails_and_changes_nothing(tour: Tour, first: dict[str, Any]) -> None:
    served = tour.served()
    if any(each.outcome == "promoted" and each.previous is not None for each in history.read(tour.name)):
        back = tour.rollback("test")
        assert back != served
        assert tour.rollback("test") == served
    else:
        run = tour.airflow.trigger(f"{tour.name}.rollback", {"reason": "test"})
        with pytest.raises(RunFailedError, match="no previous champion to go back to"):
            tour.airflow.wait(run)
        assert tour.served() == served
    with pytest.raises(AirflowError, match="version"):
        tour.airflow.trigger(f"{tour.name}.rollback", {"version": 99})


def test_a_delivery_that_has_not_come_is_waited_for(tour: Tour, first: dict[str, Any]) -> None:
    run = tour.airflow.trigger(f"{tour.name}.ingest", {"start": "2113-01-02"})
    deadline = time.monotonic() + 60
    while (states := {task.task_id: task.state for task in tour.airflow.tasks(run)})["land"] != "up_for_reschedule":
        assert time.monotonic() < deadline, states
        time.sleep(0.5)
    assert states["check"] is None


def test_after_a_fix_of_the_suite_a_quarantined_row_is_replayed(tour: Tour, first: dict[str, Any]) -> None:
    name, storm = tour.name, "2013-02-11"
    before = versions.head()
    assert sum(ingest.quarantined(tour.use_case, [storm], before).values()) == 1
    untouched = compute.view_file(name, "observation", "2013-02-25").stat().st_mtime_ns
    predicted = batch_log.file(name, "2013-03-11").stat().st_mtime_ns

    suite = tour.use_case.path / "expectations.py"
    suite.write_text(suite.read_text().replace("max_value=150", "max_value=1500"))
    replayed = tour.airflow.wait(tour.airflow.trigger(f"{name}.replay", {"reason": "wind_speed"}), 120)
    (event,) = tour.airflow.asset_events(source=replayed)
    assert event.partition_key == "2013-02-11/2013-02-18"  # the week, and the one whose features look back on it
    tour.follow("features", replayed)

    after = versions.head()
    assert versions.changed(name, before, after) == [storm]
    assert ingest.quarantined(tour.use_case, [storm], after) == {}
    assert stale(tour.use_case, tour.use_case.config.calendar.parse("2013-01-07/2013-03-25"), after) == {}
    assert compute.view_file(name, "observation", "2013-02-25").stat().st_mtime_ns == untouched
    assert batch_log.file(name, "2013-03-11").stat().st_mtime_ns == predicted


def test_the_models_page_is_behind_the_login(tour: Tour, first: dict[str, Any]) -> None:
    page = f"{get_settings().airflow_url}/evergreen/"
    assert httpx.get(page, trust_env=False).status_code == 401
    token = httpx.post(
        f"{get_settings().airflow_url}/auth/token",
        json={"username": USER, "password": load_credentials(get_settings()).admin_password},
        trust_env=False,
    ).json()["access_token"]
    answer = httpx.get(page, headers={"Authorization": f"Bearer {token}"}, trust_env=False)
    assert answer.status_code == 200
    assert tour.use_case.config.title in answer.text


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromedriver") is None, reason="needs Chromium and its driver (chromium-driver)")
def test_airflow_shows_the_models_page_in_a_browser(tour: Tour, first: dict[str, Any]) -> None:
    from docs.screenshots import browser, sign_in

    with browser(1200, 900) as driver:
        sign_in(driver, get_settings())
        driver.get(f"{get_settings().airflow_url}/plugin/models")
        WebDriverWait(driver, 30).until(conditions.frame_to_be_available_and_switch_to_it((By.TAG_NAME, "iframe")))
        body = WebDriverWait(driver, 30).until(conditions.presence_of_element_located((By.TAG_NAME, "main")))
        assert tour.use_case.config.title in body.text
        assert f"version {tour.served()}" in body.text
        driver.get(f"{get_settings().airflow_url}/evergreen/{tour.name}/data/2013-02-11")
        body = WebDriverWait(driver, 30).until(conditions.presence_of_element_located((By.TAG_NAME, "main")))
        assert "wind_speed" in body.text
        driver.get(f"{get_settings().airflow_url}/evergreen/{tour.name}/data/2013-02-11/docs/weather")
        body = WebDriverWait(driver, 30).until(conditions.presence_of_element_located((By.TAG_NAME, "body")))
        assert "station" in body.text
        errors = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
        assert not [entry for entry in errors if "/evergreen/" in entry["message"]]


def test_the_servers_have_their_pages(tour: Tour) -> None:
    settings = get_settings()
    for url in (settings.airflow_url, settings.mlflow_uri, f"{settings.replicas[0]}/docs"):
        assert httpx.get(url, follow_redirects=True, trust_env=False).status_code == 200
    openapi = httpx.get(f"{settings.replicas[0]}/openapi.json", trust_env=False).json()
    assert "/v1/{use_case}/entities" in json.dumps(openapi)
    assert os.environ["EVERGREEN_HOME"]


@pytest.fixture(scope="module")
def asking(tour: Tour, first: dict[str, Any]) -> Iterator[Tour]:
    with approval_required(tour, DEADLINE):
        yield tour


def waiting(tour: Tour, alpha: float) -> Run:
    """A candidate's promotion that waits for an answer."""
    return asked(tour, tour.train({"model_params": {"alpha": alpha}, "reason": "for approval"}))


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
        approve = conditions.element_to_be_clickable((By.XPATH, "//button[normalize-space()='Approve']"))
        wait.until(approve)  # without a note, too
        note.send_keys("looks good")
        wait.until(approve).click()
    asking.airflow.wait(run)
    (approval,), (promotion,) = decided(run, "approval"), decided(run, "promotion")
    assert (approval.outcome, approval.actor, approval.note) == ("approved", USER, "looks good")
    assert (promotion.outcome, promotion.actor, promotion.note) == ("promoted", USER, "looks good")
    assert promotion.version == asking.served() != served
    assert history.verify(asking.name) == ()
