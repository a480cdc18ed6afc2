"""A new version of the code takes over from the old one, and no client of serving notices."""

from __future__ import annotations

import pytest

from tests.team.harm import PREDICT
from tests.team.stack import Stack, asking, docker

pytestmark = pytest.mark.team

NEW = "include/of_the_new_version.py"
DOOR = 'server { listen 8123; location / { return 200 "of the new version"; } }\n'
EVERYWHERE = ("scheduler", "worker", "trainer", "api-server", "mlflow", "exporter", "serving-1", "serving-2")


def test_a_new_version_takes_over_while_serving_answers(stack: Stack, row: dict[str, object]) -> None:
    kept = docker("inspect", "--format", "{{.Id}}", stack.container("postgres"))
    (stack.folder / NEW).write_text("")
    with (stack.folder / "config/nginx/pages.conf.template").open("a") as file:
        file.write(DOOR)
    with asking(stack, PREDICT, row) as asked:
        stack.team("up")
    assert asked.answers > 100 and asked.failures == []
    for service in EVERYWHERE:
        assert stack.run(service, "ls", f"/opt/app/{NEW}"), service
    look = "import urllib.request as u; print(u.urlopen('http://proxy:8123').read().decode())"
    assert stack.run("worker", "python", "-c", look) == "of the new version"
    assert docker("inspect", "--format", "{{.Id}}", stack.container("postgres")) == kept
