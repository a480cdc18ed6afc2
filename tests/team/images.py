"""Base images for the team's system: the official ones, or those that this machine has in their place."""

from __future__ import annotations

import shutil
import subprocess

from tests.containers.seaweedfs import seaweedfs_image

LOCAL = {
    "POSTGRES_IMAGE": "local/postgres:15",
    "REDIS_IMAGE": "local/redis:7",
    "NGINX_IMAGE": "local/nginx:1.22",
    "PYTHON_IMAGE": "local/python:3.11-slim",
    "DEBIAN_IMAGE": "local/debian:bookworm-slim",
}
OFFICIAL = "redis:7"  # the smallest that the compose file names
# Debian's own Prometheus, where no official image can be had.
PROMETHEUS = """
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
RUN apt-get update -qq \\
 && apt-get install -y -qq --no-install-recommends prometheus prometheus-alertmanager >/dev/null \\
 && ln -s /usr/bin/prometheus-alertmanager /usr/bin/alertmanager \\
 && install -d -o nobody -g nogroup /prometheus /alertmanager
USER nobody
"""


def missing() -> str:
    """Why no team's system can be started here; empty where it can."""
    if shutil.which("docker") is None:
        return "no docker command is installed"
    if not _succeeds("info"):
        return "no docker engine answers"
    if not _local() and not _succeeds("pull", "--quiet", OFFICIAL):
        return f"base images are not here, and {OFFICIAL} cannot be pulled"
    return ""


def base() -> dict[str, str]:
    """The settings of the compose file that name this machine's own images; none where it has none."""
    if not _local():
        return {}
    tag = "evergreen-prometheus:test"
    command = ["docker", "build", "--network", "host", "--quiet", "--tag", tag]
    command += ["--build-arg", f"DEBIAN_IMAGE={LOCAL['DEBIAN_IMAGE']}", "-"]
    subprocess.run(command, input=PROMETHEUS, text=True, check=True, capture_output=True)
    own = {"PROMETHEUS_IMAGE": tag, "ALERTMANAGER_IMAGE": tag, "SEAWEEDFS_IMAGE": seaweedfs_image()}
    return {**LOCAL, **own, "BUILD_NETWORK": "host"}


def _local() -> bool:
    return _succeeds("image", "inspect", *LOCAL.values())


def _succeeds(*arguments: str) -> bool:
    return subprocess.run(["docker", *arguments], capture_output=True, check=False).returncode == 0
