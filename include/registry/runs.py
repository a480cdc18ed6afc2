"""The files that a training run logged beside its model."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from include.files import replacing
from include.registry import models
from include.settings import get_settings

TEST_FILE = "evaluation/test.parquet"


def logged_file(version: models.ModelVersion, artifact: str) -> Path:
    """A file of the run behind a version, downloaded once: what a finished run logged does not change."""
    import mlflow

    cached = get_settings().home / "cache" / "runs" / version.run_id / artifact
    if not cached.is_file():
        with tempfile.TemporaryDirectory() as scratch, replacing(cached) as temporary:
            found = mlflow.artifacts.download_artifacts(
                run_id=version.run_id, artifact_path=artifact, dst_path=scratch, tracking_uri=models.tracking_uri()
            )
            shutil.copyfile(found, temporary)
    return cached
