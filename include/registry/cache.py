"""The files of registered models on this machine, each verified before it is used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from include.files import replacing
from include.registry import artifacts
from include.registry.client import registry, tracking_uri
from include.settings import get_settings

if TYPE_CHECKING:
    from include.registry.models import ModelVersion

METADATA_DIGEST = "metadata_digest"


def fetch(version: ModelVersion) -> Path:
    """The folder of a version's files, from the cache or downloaded; either way they are those that were registered."""
    import mlflow

    if not version.digest:
        raise artifacts.DigestMismatchError(
            f"{version.use_case} version {version.version}: has no digest, so it was not registered by this pipeline"
        )
    name = f"{version.version}-{version.digest[:16]}"
    cached = get_settings().home / "cache" / "models" / version.use_case / name
    if cached.is_dir():
        try:
            _verify(cached, version)
        except artifacts.ArtifactError:
            pass  # it is fetched again
        else:
            return cached
    uri = f"models:/{version.use_case}/{version.version}"
    with registry(), replacing(cached) as folder:
        folder.mkdir()
        mlflow.artifacts.download_artifacts(
            uri, dst_path=str(folder), tracking_uri=tracking_uri(), registry_uri=tracking_uri()
        )
        _verify(folder, version)
    return cached


def size(version: ModelVersion) -> int:
    """Bytes of a version's files."""
    return sum(path.stat().st_size for path in fetch(version).rglob("*") if path.is_file())


def _verify(folder: Path, version: ModelVersion) -> None:
    artifacts.verify(folder, version.digest)
    if artifacts.file_digest(folder / artifacts.METADATA) != version.tags.get(METADATA_DIGEST):
        raise artifacts.DigestMismatchError(
            f"{folder / artifacts.METADATA}: is not the metadata of the registered model"
        )
