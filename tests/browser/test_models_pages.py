"""The Models pages in the real Airflow and a real browser: what is seen, what may be done, by whom, and how well."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from axe_core_python.selenium import Axe
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support import expected_conditions as conditions

from include.demo.steps import Tour
from include.deployment import ledger, replica
from include.files import read_json
from include.history import log as history
from include.ingestion import ingest, versions
from include.pages.actions import ACTIONS
from include.pages.airflow import COOKIE
from include.registry import models
from include.settings import get_settings
from tests.browser.clicks import act, address, answer, errors, facts, fill_in, press, settled, waiting
from tests.browser.conftest import NARROW, WIDE, Opened, token
from tests.e2e.conftest import asked, awaiting, decided, until

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

PAGES = (
    "", "/versions", "/versions/1", "/compare?first=1&second=1", "/data", "/data/2013-02-11", "/features",
    "/predictions", "/history", "/actions/train", "/actions/rollout", "/actions/replay",
)  # fmt: skip


@pytest.fixture
def client(tour: Tour, first: dict[str, Any]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=get_settings().airflow_url, trust_env=False, timeout=60) as opened:
        yield opened


def as_(role: str) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={token(role)}", "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}


def in_production(tour: Tour) -> tuple[int, int | None]:
    """The champion and the one before, as ledger, registry and serving say with one voice."""
    head = ledger.head(tour.name)
    champion, previous = (models.by_alias(tour.name, alias) for alias in (models.CHAMPION, models.PREVIOUS_CHAMPION))
    assert head is not None and champion is not None
    assert (head.champion, head.previous) == (champion.version, previous.version if previous else None)
    assert tour.served() == champion.version
    assert not ledger.verify(tour.name) and not history.verify(tour.name)
    return champion.version, head.previous


def offered(client: httpx.Client, tour: Tour) -> list[int | None]:
    """The versions that Airflow lets be rolled out, by the DAG as it was read last."""
    details = client.get(f"/api/v2/dags/{tour.name}.rollout/details", headers=as_("viewer")).json()
    versions: list[int | None] = details["params"]["version"]["schema"]["enum"]
    return versions


@pytest.mark.parametrize(("theme", "size"), [("light", WIDE), ("dark", NARROW)])
def test_every_page_is_accessible_and_without_errors(
    tour: Tour, first: dict[str, Any], opened: Opened, theme: str, size: tuple[int, int]
) -> None:
    driver = opened(theme=theme, size=size)
    for path in ("/", *(f"/{tour.name}{page}" for page in PAGES)):
        settled(driver, address(path))
        found = Axe().run(driver)
        grave = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
        told = [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in grave]
        assert not told, (path, told)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= size[0], path
        assert driver.execute_script("return getComputedStyle(document.documentElement).colorScheme") == theme
    assert errors(driver) == []


def test_within_airflow_the_links_lead_to_airflow(tour: Tour, first: dict[str, Any], opened: Opened) -> None:
    driver = opened()
    wait = waiting(driver)
    driver.get(f"{get_settings().airflow_url}/plugin/models")
    wait.until(conditions.frame_to_be_available_and_switch_to_it((By.TAG_NAME, "iframe")))
    wait.until(conditions.element_to_be_clickable((By.LINK_TEXT, tour.use_case.config.title))).click()
    wait.until(conditions.element_to_be_clickable((By.LINK_TEXT, "promote"))).click()
    driver.switch_to.default_content()
    wait.until(conditions.url_contains(f"/dags/{tour.name}.promote/runs/"))


def test_the_doc_of_a_dag_leads_to_the_page_of_its_use_case(tour: Tour, client: httpx.Client, opened: Opened) -> None:
    doc = client.get(f"/api/v2/dags/{tour.name}.train/details", headers=as_("viewer")).json()["doc_md"]
    path = doc.rpartition("](")[2].strip().rstrip(")")
    driver = opened()
    driver.get(f"{get_settings().airflow_url}{path}")
    wait = waiting(driver)
    wait.until(conditions.frame_to_be_available_and_switch_to_it((By.TAG_NAME, "iframe")))
    heading = wait.until(conditions.presence_of_element_located((By.TAG_NAME, "h1")))
    assert heading.text == tour.use_case.config.title


def test_tasks_lead_to_what_they_have_made(tour: Tour, client: httpx.Client) -> None:
    wanted = {
        ("train", "fit"): "/#/runs/", ("train", "register"): f"/evergreen/{tour.name}/versions/1",
        ("ingest", "check"): f"/evergreen/{tour.name}/data", ("ingest", "publish"): f"/evergreen/{tour.name}/data",
    }  # fmt: skip
    for (stage, task), target in wanted.items():
        run = tour.airflow.runs(f"{tour.name}.{stage}")[-1]
        where = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task}/links"
        links = client.get(where, headers=as_("viewer")).json()["extra_links"]
        assert any(target in str(link) for link in links.values()), (stage, task, links)


def test_a_training_is_started_by_keyboard_once_it_is_confirmed(asking: Tour, opened: Opened) -> None:
    driver = opened()
    before = {run.run_id for run in asking.airflow.runs(f"{asking.name}.train")}
    settled(driver, address(f"/{asking.name}/actions/train"))
    fill_in(driver, model_params='{"alpha": 30.0}', reason="from the page")
    driver.find_element(By.NAME, "reason").send_keys(Keys.ENTER)
    wait = waiting(driver)
    button = wait.until(conditions.presence_of_element_located((By.XPATH, "//button[.='Train now']")))
    assert {run.run_id for run in asking.airflow.runs(f"{asking.name}.train")} == before
    button.send_keys(Keys.ENTER)
    wait.until(conditions.presence_of_element_located((By.LINK_TEXT, "Open the run in Airflow")))
    (started,) = [run for run in asking.airflow.runs(f"{asking.name}.train") if run.run_id not in before]
    assert started.run_id.startswith("models_page__")
    assert (started.conf["model_params"], started.conf["reason"]) == ({"alpha": 30.0}, "from the page")
    asking.airflow.wait(started)


def test_a_rejection_on_the_page_changes_nothing_and_is_kept_with_its_note(
    asking: Tour, opened: Opened, client: httpx.Client
) -> None:
    """Of the version that was trained from the page. A viewer is not let near it."""
    run = asked(asking, asking.airflow.runs(f"{asking.name}.train")[0])
    form = {"option": "Approve", "confirmed": "yes"}
    for method, data in (("GET", None), ("POST", form)):
        where = f"/evergreen/{asking.name}/approvals/{run.run_id}"
        assert client.request(method, where, data=data, headers=as_("viewer")).status_code == 403
    driver = opened(role="user")
    answer(asking, driver, run, "Reject", "not before the holidays")
    asking.airflow.wait(run)
    (approval,) = decided(run, "approval")
    assert (approval.outcome, approval.actor, approval.note) == ("rejected", "a user", "not before the holidays")
    assert not decided(run, "promotion")
    assert asking.served() == 1
    settled(driver, address(f"/{asking.name}/history"))
    entry = driver.find_element(By.ID, f"entry-{approval.sequence}").text
    assert "rejected" in entry and "not before the holidays" in entry
    assert errors(driver) == []


def test_a_version_that_is_judged_and_approved_on_the_page_comes_into_production(asking: Tour, opened: Opened) -> None:
    driver = opened(role="user")
    settled(driver, address(f"/{asking.name}/versions/2"))
    press(driver, driver.find_element(By.LINK_TEXT, "Judge again"))
    run = awaiting(asking, act(asking, driver, "judge", reason="once more"))
    answer(asking, driver, run, "Approve", "looks good")
    asking.airflow.wait(run)
    (gate,), (approval,), (promotion,) = (decided(run, kind) for kind in ("gate", "approval", "promotion"))
    assert (gate.note, approval.outcome, promotion.outcome) == ("once more", "approved", "promoted")
    assert (promotion.actor, promotion.note, promotion.version) == ("a user", "looks good", 2)
    assert in_production(asking) == (2, 1)
    settled(driver, address(f"/{asking.name}"))
    assert facts(driver)["Champion"].startswith("version 2\npromoted")
    assert errors(driver) == []


def test_a_version_is_made_again_from_its_page(asking: Tour, opened: Opened) -> None:
    driver = opened(role="user")
    settled(driver, address(f"/{asking.name}/versions/1"))
    assert facts(driver)["Made again"] == "not yet"
    press(driver, driver.find_element(By.LINK_TEXT, "Reproduce"))
    run = act(asking, driver, "reproduce")
    assert run.conf == {"version": 1, "tolerance": 1e-6}
    asking.airflow.wait(run)
    assert read_json(get_settings().reproductions / asking.name / "1.json")["outcome"] == "identical"
    settled(driver, address(f"/{asking.name}/versions/1"))
    assert facts(driver)["Made again"] == "identical"
    assert errors(driver) == []


def test_a_version_is_tried_as_a_shadow_from_the_page_and_the_rollout_is_ended_there(
    asking: Tour, opened: Opened, client: httpx.Client
) -> None:
    driver, (replica_address, *_) = opened(role="user"), get_settings().replicas
    champion, other = in_production(asking)
    until(lambda: other in offered(client, asking), f"Airflow knows that version {other} can be tried")
    settled(driver, address(f"/{asking.name}/versions/{other}"))
    press(driver, driver.find_element(By.LINK_TEXT, "Roll out"))
    begun = act(asking, driver, "rollout", mode="shadow", reason="to compare")
    asking.airflow.wait(begun)
    assert begun.conf == {"version": other, "mode": "shadow", "weight": 0.1, "reason": "to compare"}
    head = ledger.head(asking.name)
    assert head is not None and (head.champion, head.challenger, head.mode) == (champion, other, "shadow")
    assert (head.origin, head.actor) == (begun.run_id, "a user")
    assert replica.served(replica_address, asking.name).challenger == other
    settled(driver, address(f"/{asking.name}"))
    assert facts(driver)["Beside it"] == f"version {other}\nshadow"
    assert f"{champion} and {other} beside it" in driver.find_element(By.TAG_NAME, "main").text

    press(driver, driver.find_element(By.LINK_TEXT, "Roll out"))
    asking.airflow.wait(act(asking, driver, "rollout", mode="end", reason="seen enough"))
    head = ledger.head(asking.name)
    assert head is not None and (head.champion, head.challenger, head.reason) == (champion, None, "seen enough")
    assert replica.served(replica_address, asking.name).challenger is None
    settled(driver, address(f"/{asking.name}"))
    assert "Beside it" not in facts(driver)
    outcomes = driver.find_elements(By.XPATH, "//section[h2='Last rollout']//tr/td[last()]")
    assert [each.text for each in outcomes] == ["ended", "ended"]
    assert errors(driver) == []


def test_after_a_rollback_from_the_page_the_version_before_answers(asking: Tour, opened: Opened) -> None:
    driver = opened(role="user")
    champion, before = in_production(asking)
    settled(driver, address(f"/{asking.name}"))
    press(driver, driver.find_element(By.LINK_TEXT, "Roll back"))
    run = act(asking, driver, "rollback", reason="complaints")
    asking.airflow.wait(run)
    assert in_production(asking) == (before, champion)
    (entry,) = decided(run, "rollback")
    assert (entry.outcome, entry.version, entry.previous) == ("rolled back", before, champion)
    assert (entry.actor, entry.reasons) == ("a user", ("complaints",))
    settled(driver, address(f"/{asking.name}"))
    assert facts(driver)["Champion"].startswith(f"version {before}\nrolled back")
    assert errors(driver) == []


def test_after_a_fix_of_the_suite_a_day_is_replayed_from_its_page(asking: Tour, opened: Opened) -> None:
    driver, storm, before = opened(role="user"), "2013-02-11", versions.head()
    assert sum(ingest.quarantined(asking.use_case, [storm], before).values()) == 1
    suite = asking.use_case.path / "expectations.py"
    suite.write_text(suite.read_text().replace("max_value=150", "max_value=1500"))
    settled(driver, address(f"/{asking.name}/data/{storm}"))
    press(driver, driver.find_element(By.LINK_TEXT, "Replay this partition"))
    run = act(asking, driver, "replay")
    assert (run.conf["start"], run.conf["end"], run.conf["reason"]) == (storm, None, None)
    asking.airflow.wait(run)
    after = versions.head()
    assert versions.changed(asking.name, before, after) == [storm]
    assert ingest.quarantined(asking.use_case, [storm], after) == {}
    settled(driver, address(f"/{asking.name}/data/{storm}"))
    headings = [each.text for each in driver.find_elements(By.TAG_NAME, "h2")]
    assert "Checks" in headings and "Quarantine" not in headings
    assert errors(driver) == []
    asking.follow("features", run)


def test_without_signing_in_nothing_is_shown(tour: Tour, client: httpx.Client) -> None:
    for path in ("/", "/runs", "/static/pages.css", *(f"/{tour.name}{page}" for page in PAGES)):
        answer = client.get(f"/evergreen{path}")
        assert answer.status_code == 401, path
        assert tour.use_case.config.title not in answer.text


def test_a_viewer_sees_and_cannot_act(tour: Tour, client: httpx.Client) -> None:
    page = client.get(f"/evergreen/{tour.name}", headers=as_("viewer"))
    assert page.status_code == 200
    assert "/actions/" not in page.text
    assert "promote" in client.get(f"/evergreen/{tour.name}/runs", headers=as_("viewer")).text
    form = {"version": "1", "mode": "shadow", "start": "2013-02-11", "confirmed": "yes", "attempt": "a" * 32}
    for name, action in ACTIONS.items():
        runs = len(tour.airflow.runs(f"{tour.name}.{action.stage}"))
        for method, data in (("GET", None), ("POST", form)):
            where = f"/evergreen/{tour.name}/actions/{name}"
            assert client.request(method, where, data=data, headers=as_("viewer")).status_code == 403, name
        assert len(tour.airflow.runs(f"{tour.name}.{action.stage}")) == runs


def test_a_form_of_another_site_is_refused(tour: Tour, client: httpx.Client) -> None:
    runs = len(tour.airflow.runs(f"{tour.name}.train"))
    form = {"reason": "x", "confirmed": "yes", "attempt": "b" * 32}
    for site in ("cross-site", "same-site"):
        headers = as_("admin") | {"Sec-Fetch-Site": site}
        assert client.post(f"/evergreen/{tour.name}/actions/train", data=form, headers=headers).status_code == 403
    assert len(tour.airflow.runs(f"{tour.name}.train")) == runs


def test_the_first_content_comes_at_once(tour: Tour, client: httpx.Client) -> None:
    headers = as_("viewer")
    client.get("/evergreen/", headers=headers)
    started = time.perf_counter()
    assert client.get("/evergreen/", headers=headers).status_code == 200
    assert time.perf_counter() - started < 1.0  # the benchmark holds it to 300 ms on a machine of its own
