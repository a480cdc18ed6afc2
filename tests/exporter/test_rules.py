"""The rules, the routes and the dashboards, by Prometheus' and Alertmanager's own tools."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from include.exporter.collector import GAUGES
from include.settings import REPOSITORY

CONFIG = REPOSITORY / "config"
RULES = CONFIG / "prometheus" / "rules.yml"


def tool(name: str, *arguments: str) -> str:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install prometheus prometheus-alertmanager)")
    done = subprocess.run([name, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_fire_when_they_should_and_not_otherwise() -> None:
    assert "SUCCESS" in tool("promtool", "check", "rules", str(RULES))
    assert "SUCCESS" in tool("promtool", "test", "rules", str(CONFIG / "prometheus" / "rules_test.yml"))


def test_the_routes_are_valid(tmp_path: Path) -> None:
    assert "SUCCESS" in tool("amtool", "check-config", str(CONFIG / "alertmanager" / "alertmanager.yml"))


def test_each_rule_has_a_severity_and_leads_to_a_section_of_the_runbook() -> None:
    sections = {
        line.removeprefix("## ").lower().replace(" ", "-")
        for line in (REPOSITORY / "docs" / "alerts.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("## ")
    }
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            page, _, section = rule["annotations"]["runbook"].partition("#")
            assert page == "docs/alerts.md" and (not section or section in sections), rule["alert"]
            assert rule["labels"]["severity"] in ("warning", "critical", "{{ $labels.severity }}"), rule["alert"]


def test_rules_and_dashboards_ask_for_metrics_that_exist() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "include" / "serving").rglob("*.py"))
    served = set(re.findall(r'"(evergreen_[a-z_]+)"', source))
    known = (
        {f"evergreen_{name}" for name in GAUGES}
        | {"evergreen_unreadable", "evergreen_broken_use_cases", "evergreen_part_up"}
        | served
    )
    known |= {f"{name}_total" for name in served} | {f"{name}_bucket" for name in served}
    asked = set()
    for path in (RULES, *(CONFIG / "grafana" / "dashboards").glob("*.json")):
        asked |= set(re.findall(r"evergreen_[a-z_]+", path.read_text(encoding="utf-8")))
    assert asked - known == set()


@pytest.mark.parametrize("path", sorted((CONFIG / "grafana" / "dashboards").glob("*.json")), ids=lambda path: path.stem)
def test_a_dashboard_is_whole(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    ids = [panel["id"] for panel in content["panels"]]
    assert len(set(ids)) == len(ids) > 5
    for panel in content["panels"]:
        assert panel["title"] and panel["targets"], panel["id"]
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"prometheus"}
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
