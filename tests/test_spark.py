"""What is missing for Spark is told by name, before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from include import spark
from include.settings import get_settings


def opened(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("EVERGREEN_SPARK", address)
    get_settings.cache_clear()
    with spark.session("sales", "features"):
        pytest.fail("a session was opened")


def test_no_address(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = r"sales/use_case\.yaml: engine\.features: spark needs a cluster, and EVERGREEN_SPARK is not set: .*"
    with pytest.raises(spark.SparkError, match=f"{message}or set engine\\.features to embedded"):
        opened(monkeypatch, "")


def test_no_package(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark, "find_spec", lambda name: None)
    with pytest.raises(spark.SparkError, match=r"engine\.features: spark needs pyspark: install requirements-spark"):
        opened(monkeypatch, "spark://127.0.0.1:7077")


def test_no_java(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark, "find_spec", lambda name: name)
    monkeypatch.setenv("PATH", str(home))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(spark.SparkError, match=r"needs Java 17, .*openjdk-17-jre-headless"):
        opened(monkeypatch, "spark://127.0.0.1:7077")


@pytest.mark.parametrize("address", ["spark://127.0.0.1:9", "spark://127.0.0.1", "spark://127.0.0.1:9,127.0.0.1:x"])
def test_nobody_there(home: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(spark, "find_spec", lambda name: name)
    monkeypatch.setenv("JAVA_HOME", str(home))
    with pytest.raises(spark.SparkError, match=f"EVERGREEN_SPARK={address}: nothing answers there; start the cluster"):
        opened(monkeypatch, address)
