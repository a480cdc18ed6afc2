"""Takes the pictures of the README from the running system: ``make screenshots`` after ``make demo``.

Needs Chromium and its driver (Debian: ``apt-get install chromium chromium-driver``).
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from include.local.credentials import USER, load_credentials
from include.local.running import join_running_system
from include.settings import Settings

IMAGES = Path(__file__).parent / "images"
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--force-device-scale-factor=1",
)  # fmt: skip


@contextmanager
def browser(width: int, height: int) -> Iterator[webdriver.Chrome]:
    options = Options()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for flag in (*FLAGS, f"--window-size={width},{height}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def sign_in(driver: webdriver.Chrome, settings: Settings) -> None:
    """Enter Airflow as its user, with the cookie that the login page would set."""
    answer = httpx.post(
        f"{settings.airflow_url}/auth/token",
        json={"username": USER, "password": load_credentials(settings).admin_password},
        trust_env=False,
    )
    answer.raise_for_status()
    driver.get(settings.airflow_url)
    driver.add_cookie({"name": "_token", "value": answer.json()["access_token"], "path": "/"})


def pages(settings: Settings) -> dict[str, str]:
    """The pictures by name, and where each is taken."""
    airflow, name = settings.airflow_url, "flight_delay"
    reports = sorted((settings.monitoring / name).glob("*.html"))
    if not reports:
        raise FileNotFoundError(f"{settings.monitoring / name}: no report yet; `make demo` comes first")
    return {
        "dags": f"{airflow}/dags?tags={name}",
        "models": f"{airflow}/plugin/models",
        "health": f"{airflow}/plugin/models/evergreen/{name}",
        "version": f"{airflow}/evergreen/{name}/versions/1",
        "data": f"{airflow}/evergreen/{name}/data/2013-02-12",
        "features": f"{airflow}/evergreen/{name}/features",
        "card": f"{airflow}/evergreen/{name}/cards/2",
        "history": f"{airflow}/evergreen/{name}/history",
        "grid": f"{airflow}/dags/{name}.promote",
        "report": reports[-1].as_uri(),
        "api": f"{settings.replicas[0]}/docs",
        "mlflow": f"{settings.mlflow_uri}/#/models/{name}",
    }


def main() -> int:
    settings = join_running_system()
    IMAGES.mkdir(exist_ok=True)
    wanted = sys.argv[1:]
    with browser(1400, 1000) as driver:
        sign_in(driver, settings)
        for name, url in pages(settings).items():
            if wanted and name not in wanted:
                continue
            driver.get(url)
            time.sleep(6)  # the pages fetch what they show
            driver.save_screenshot(str(IMAGES / f"{name}.png"))
            print(f"screenshots: {IMAGES / f'{name}.png'}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
