"""Airflow's image with what an installation may ask for on top, built and run as the team's system does."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator

import pytest

from include.settings import REPOSITORY
from tests.containers.test_serving_image import docker
from tests.team import images

pytestmark = pytest.mark.container

TAG = "evergreen-airflow:extras-test"
SPARK = """
from pyspark.sql import SparkSession
print(SparkSession.builder.master("local[2]").getOrCreate().range(1000).selectExpr("sum(id)").first()[0])
"""
EVIDENTLY = """
import polars as pl
from evidently import Report
from evidently.presets import DataDriftPreset
frame = pl.DataFrame({"x": [1.0, 2.0, 3.0] * 20}).to_pandas()
print(len(Report([DataDriftPreset()]).run(frame, frame).dict()["metrics"]))
"""


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    if why := images.missing():
        pytest.skip(why)
    base = images.base()
    options = ["--network", base.get("BUILD_NETWORK", "default"), "--build-arg", "EXTRAS=spark evidently"]
    if "PYTHON_IMAGE" in base:
        options += ["--build-arg", f"PYTHON_IMAGE={base['PYTHON_IMAGE']}"]
    command = ["docker", "build", "--quiet", *options, "--file", "containers/airflow/Dockerfile", "--tag", TAG, "."]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    yield TAG
    docker("image", "rm", "--no-prune", TAG, check=False)


@pytest.fixture(scope="module")
def network() -> Iterator[str]:
    name = f"evergreen-extras-{uuid.uuid4().hex[:8]}"
    docker("network", "create", "--internal", name)
    yield name
    docker("network", "rm", name)


@pytest.mark.parametrize(
    ("code", "printed"), [pytest.param(SPARK, "499500", id="spark"), pytest.param(EVIDENTLY, "2", id="evidently")]
)
def test_what_was_asked_for_works_in_a_container_that_cannot_change_its_image(
    image: str, network: str, code: str, printed: str
) -> None:
    command = ["docker", "run", "--rm", "--interactive", "--read-only", "--tmpfs", "/tmp:exec,mode=1777"]
    command += ["--network", network, image, "python", "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-1] == printed
