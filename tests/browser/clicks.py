"""The pages in a browser as a user goes through them: open, follow, fill in, confirm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from selenium.common.exceptions import WebDriverException
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait
from urllib3.exceptions import HTTPError

from include.demo.steps import Tour
from include.local.airflow_records import Run
from include.pages.actions import ACTIONS, RUN_ID
from include.settings import get_settings

PATIENCE = 40.0  # seconds for a page
POLL = 0.1  # seconds until it is looked at again
SHOWN = 5000  # letters of a page that tell why a test failed
LEAVE = "window.left = true"  # which the next page knows nothing of
WHOLE = """
const has = found => document.querySelector(found) !== null;
return !window.left && document.readyState === "complete" && has("main") && !has("[aria-busy=true]");
"""
# The form of the button (the first argument) as the browser would send it; tells the last one where that led to.
SEND = """
const [button, told] = arguments;
const fields = new URLSearchParams(new FormData(button.form));
fetch(button.form.action, {method: "POST", body: fields}).then(answer => told(answer.url), error => told(`${error}`));
"""


def address(path: str = "") -> str:
    return f"{get_settings().airflow_url}/evergreen{path}"


def waiting(driver: Chrome) -> WebDriverWait[Chrome]:
    # A page that is just being left cannot be asked: Chromium's errors then are many.
    return WebDriverWait(driver, PATIENCE, POLL, ignored_exceptions=[WebDriverException])


def settled(driver: Chrome, url: str) -> None:
    """Open a page and wait until what it fetches later is there."""
    driver.get(url)
    _whole(driver)


def press(driver: Chrome, found: WebElement, how: Callable[[WebElement], Any] = WebElement.click) -> None:
    """Press what leads to another page, and wait until that is there."""
    driver.execute_script(LEAVE)
    how(found)
    _whole(driver)


def button(driver: Chrome, word: str) -> WebElement:
    return driver.find_element(By.XPATH, f"//button[normalize-space()='{word}']")


def fill_in(driver: Chrome, **answers: str) -> None:
    for name, value in answers.items():
        field = driver.find_element(By.NAME, name)
        if field.tag_name == "select":
            Select(field).select_by_value(value)
        else:
            field.clear()
            field.send_keys(value)


def confirm(driver: Chrome, word: str) -> None:
    """Send the form of the button that confirms three times: on its own, and by a double click."""
    found = button(driver, word)
    first = driver.execute_async_script(SEND, found)
    press(driver, found, lambda found: ActionChains(driver).double_click(found).perform())
    assert driver.current_url == first, f"{driver.current_url}; the form that was sent on its own led to {first}"
    assert driver.find_elements(By.LINK_TEXT, "Open the run in Airflow")


def act(tour: Tour, driver: Chrome, action: str, **answers: str) -> Run:
    """Answer the form of an action, which is open, and confirm it; the one run that this starts."""
    dag_id = f"{tour.name}.{ACTIONS[action].stage}"
    before = {run.run_id for run in tour.airflow.runs(dag_id)}
    fill_in(driver, **answers)
    press(driver, button(driver, "Continue"))
    assert {run.run_id for run in tour.airflow.runs(dag_id)} == before
    confirm(driver, f"{ACTIONS[action].title} now")
    started = [run for run in tour.airflow.runs(dag_id) if run.run_id not in before]
    assert len(started) == 1, started
    assert started[0].run_id.startswith(RUN_ID)
    assert driver.current_url.endswith(f"/actions/{action}/{started[0].run_id}")
    return started[0]


def answer(tour: Tour, driver: Chrome, run: Run, option: str, note: str) -> None:
    """Follow the link of the page of a use case to the approval that a run waits for, and give it."""
    settled(driver, address(f"/{tour.name}"))
    press(driver, driver.find_element(By.CSS_SELECTOR, f"a[href$='/approvals/{quote(run.run_id, safe='')}']"))
    fill_in(driver, note=note)
    press(driver, button(driver, f"{option} …"))
    assert tour.airflow.question(run, "approve")["response_received"] is False
    confirm(driver, f"{option} now")


def facts(driver: Chrome) -> dict[str, str]:
    """What the page of a use case says of now, by name."""
    found = driver.find_elements(By.CSS_SELECTOR, "dl.facts > div")
    told = [each.text.split("\n", 1) for each in found]
    return {name: "\n".join(rest) for name, *rest in told}


def errors(driver: Chrome) -> list[str]:
    """What went wrong on the pages, by the console."""
    told = [each["message"] for each in driver.get_log("browser") if each["level"] == "SEVERE"]
    return [each for each in told if "/evergreen/" in each]


def shown(driver: Chrome) -> str:
    """Where the browser is, what it shows there and what its console says."""
    try:
        text = driver.find_element(By.TAG_NAME, "body").text
        said = [each["message"] for each in driver.get_log("browser")]
        return "\n".join((driver.current_url, text[:SHOWN], *said))
    except (WebDriverException, HTTPError) as error:  # the page, or the browser itself, is gone
        return f"nothing that can be read: {error}"


def _whole(driver: Chrome) -> None:
    waiting(driver).until(lambda _: driver.execute_script(WHOLE), "the page is not whole")
