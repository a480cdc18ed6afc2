"""Builds the wheel of a version: ``python -m include.packaging flight_delay --version 3 --to wheels``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from include.contract.loading import UseCaseError, load_use_case
from include.settings import get_settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the wheel and tell its place, or the reason why there is none."""
    options = _parser().parse_args(arguments)
    settings = get_settings()
    os.environ.setdefault("OMP_NUM_THREADS", str(settings.threads))
    os.environ.setdefault("MLFLOW_TRACKING_URI", settings.mlflow_uri)  # for what MLflow opens by itself
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # a registry that is down is told at once

    from include.packaging.build import build, write
    from include.packaging.contents import PackagingError
    from include.registry.artifacts import ArtifactError
    from include.registry.client import RegistryUnavailable

    try:
        built = build(load_use_case(options.use_case).config.name, options.version)
        path = write(built, options.to or settings.home / "packages")
    except (UseCaseError, PackagingError, ArtifactError, RegistryUnavailable, OSError) as error:
        sys.stderr.write(f"package: {error}\n")
        return 1
    version, checked = built.version, built.checked
    sys.stdout.write(
        f"package: {path} ({len(built.wheel.content):,} bytes)\n"
        f"  {version.use_case} version {version.version}, run {version.run_id}, content {built.digest}\n"
        f"  predicts {checked.rows} golden rows as the pipeline does, to {checked.greatest_difference:.3g}\n"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.packaging", description=__doc__)
    parser.add_argument("use_case")
    parser.add_argument("--version", type=int, help="that of the registry; else the champion's")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="where to write it; else packages/ in the home")
    return parser


if __name__ == "__main__":
    sys.exit(main())
