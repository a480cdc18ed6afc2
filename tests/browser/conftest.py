"""The real system, and a real browser in which somebody is signed in."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import Any

import jwt
import pytest
from selenium import webdriver

from include.demo.steps import Tour
from include.local.credentials import load_credentials
from include.settings import get_settings
from tests.browser.clicks import shown
from tests.e2e.conftest import first, require_approval, tour  # noqa: F401 - the fixtures of the running system

WIDE, NARROW = (1400, 1000), (360, 800)

Opened = Callable[..., webdriver.Chrome]
BROWSERS = pytest.StashKey[list[webdriver.Chrome]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a failure comes what the browser showed."""
    report = yield
    if call.when == "call" and report.failed:
        report.sections += [("the browser shows", shown(driver)) for driver in item.stash.get(BROWSERS, [])]
    return report


def token(role: str) -> str:
    """A token that Airflow takes for one of its own, of a user with a role that its list of users does not have."""
    now = int(time.time())
    claims = {"sub": f"a {role}", "role": role, "teams": [], "jti": uuid.uuid4().hex, "aud": "apache-airflow"}
    claims |= {"iat": now, "nbf": now, "exp": now + 3600}
    return jwt.encode(claims, load_credentials(get_settings()).jwt_secret, algorithm="HS512")


@pytest.fixture(scope="module")
def asking(tour: Tour, first: dict[str, Any]) -> Tour:  # noqa: F811 - the fixtures above
    """The system with a first model in production, whose successor a person must approve."""
    require_approval(tour, minutes=10)
    return tour


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Iterator[Opened]:
    """A browser of a size, in which a user of a role is signed in to the running Airflow."""
    if shutil.which("chromedriver") is None:
        pytest.skip("needs Chromium and its driver (Debian: apt-get install chromium chromium-driver)")
    from docs.screenshots import browser

    managers = ExitStack()
    drivers = request.node.stash[BROWSERS] = []

    def open_(role: str = "admin", size: tuple[int, int] = WIDE, theme: str = "light") -> webdriver.Chrome:
        driver = managers.enter_context(browser(*size))
        drivers.append(driver)
        driver.get(f"{get_settings().airflow_url}/api/v2/version")
        driver.add_cookie({"name": "_token", "value": token(role), "path": "/"})
        driver.execute_script("localStorage.setItem('theme', arguments[0])", theme)
        screen = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)  # narrower than a window can be
        return driver

    with managers:
        yield open_
