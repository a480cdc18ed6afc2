"""The edge to MLflow: models are logged to a run, registered under their use case's name, found by alias and loaded.

What identifies a version stands in its tags, which are written with it in one step.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.contract.use_case import Task
from include.registry import artifacts, cache
from include.registry.cache import METADATA_DIGEST
from include.registry.client import ModelNotFound, RegistryUnavailable, client, registry, tracking_uri
from include.registry.model_input import Feature
from include.registry.predictor import Predictor

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from sklearn.base import BaseEstimator

__all__ = [
    "ALIASES",
    "CANDIDATE",
    "CHALLENGER",
    "CHAMPION",
    "PREVIOUS_CHAMPION",
    "STAGING",
    "LoggedModel",
    "ModelNotFound",
    "ModelVersion",
    "Predictor",
    "RegistryUnavailable",
    "artifacts",
    "by_alias",
    "ensure",
    "get",
    "load",
    "log_model",
    "register",
    "remove_alias",
    "set_alias",
    "tracking_uri",
    "versions",
]

CANDIDATE = "candidate"
STAGING = "staging"
CHAMPION = "champion"
PREVIOUS_CHAMPION = "previous_champion"
CHALLENGER = "challenger"
ALIASES = (CANDIDATE, STAGING, CHAMPION, PREVIOUS_CHAMPION, CHALLENGER)

DIGEST = "digest"
FEATURES = "features"
DATA_REVISION = "data_revision"


@dataclass(frozen=True)
class ModelVersion:
    """One registered version of a use case's model."""

    use_case: str
    version: int
    run_id: str
    digest: str
    features: tuple[str, ...]
    data_revision: str
    tags: dict[str, str] = field(compare=False)


@dataclass(frozen=True)
class LoggedModel:
    """A model's files in MLflow, not registered yet."""

    uri: str
    run_id: str
    digest: str


def log_model(
    model: BaseEstimator,
    example: pd.DataFrame,
    *,
    run_id: str,
    task: Task,
    features: Sequence[Feature],
    threshold: float | None = None,
    metadata: Mapping[str, str] | None = None,
    name: str = "model",
) -> LoggedModel:
    """Log the model to a run; the last one of a name is what ``register`` takes."""
    import mlflow
    from mlflow.models import Model

    class Flavor:
        """Writes the folder that MLflow logs."""

        digest = ""

        def save_model(self, path: str, mlflow_model: Any, **_: Any) -> None:
            self.digest = artifacts.save_model(
                model,
                Path(path),
                task=task,
                features=features,
                example=example,
                threshold=threshold,
                metadata=metadata,
                mlflow_model=mlflow_model,
            )

    flavor = Flavor()
    with registry():
        mlflow.set_tracking_uri(tracking_uri())
        info = Model.log(
            artifact_path=None,
            name=name,
            flavor=flavor,
            flavor_name="sklearn",
            run_id=run_id,
            metadata=dict(metadata or {}),
            validate_serving_input=False,
        )
    return LoggedModel(uri=str(info.model_uri), run_id=run_id, digest=flavor.digest)


def register(run_id: str, use_case: str, artifact: str, tags: Mapping[str, str]) -> ModelVersion:
    """Register the model that a run logged, once: a second call returns the version that there is.

    ``artifact`` is the model's name in the run or its URI, ``models:/<model id>``. The files are downloaded and
    verified first. ``tags`` should hold ``data_revision``.
    """
    import mlflow

    store = client()
    with registry():
        known = store.search_model_versions(f"name = '{use_case}' and run_id = '{run_id}'")
        if known:
            return _version(min(known, key=lambda each: int(each.version)))
        logged = _logged_model(store, run_id, artifact)
        with tempfile.TemporaryDirectory() as scratch:
            uri = f"models:/{logged.model_id}"
            folder = Path(mlflow.artifacts.download_artifacts(uri, dst_path=scratch, tracking_uri=tracking_uri()))
            contents = artifacts.verify(folder, artifacts.read_contents(folder).digest)
            identity = {
                DIGEST: contents.digest,
                METADATA_DIGEST: artifacts.file_digest(folder / artifacts.METADATA),
                FEATURES: json.dumps([feature.name for feature in contents.features]),
            }
        ensure(use_case)
        created = store.create_model_version(
            use_case, source=uri, run_id=run_id, model_id=logged.model_id, tags={**tags, **identity}
        )
    return _version(created)


def get(use_case: str, version: int) -> ModelVersion:
    """One version; ``ModelNotFound`` where there is none."""
    with registry():
        return _version(client().get_model_version(use_case, str(version)))


def ensure(use_case: str) -> None:
    """Make the registered model that holds the versions of a use case, if there is none yet."""
    import mlflow

    with registry():
        try:
            client().create_registered_model(use_case)
        except mlflow.MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def by_alias(use_case: str, alias: str) -> ModelVersion | None:
    """The version that has the alias; None where none has it."""
    import mlflow

    try:
        with registry():
            return _version(client().get_model_version_by_alias(use_case, alias))
    except ModelNotFound:
        return None
    except mlflow.MlflowException as error:
        if "alias" in error.message and "not found" in error.message:  # MLflow calls this an invalid parameter
            return None
        raise


def set_alias(use_case: str, alias: str, version: int) -> None:
    """Give the alias to a version, in one step; ``ModelNotFound`` where there is no such version."""
    with registry():
        client().set_registered_model_alias(use_case, alias, str(version))


def remove_alias(use_case: str, alias: str) -> None:
    """Take the alias away, if any version has it."""
    try:
        with registry():
            client().delete_registered_model_alias(use_case, alias)
    except ModelNotFound:
        return


def versions(use_case: str) -> list[ModelVersion]:
    """All versions, the newest first."""
    found: list[Any] = []
    token: str | None = None
    with registry():
        while token is None or token:
            page = client().search_model_versions(f"name = '{use_case}'", max_results=200, page_token=token)
            found, token = [*found, *page], page.token or ""
    return sorted((_version(each) for each in found), key=lambda each: each.version, reverse=True)


def load(version: ModelVersion) -> Predictor:
    """The model in memory. Its files come from the cache, or are downloaded; either way they are verified first."""
    folder = cache.fetch(version)
    model, contents = artifacts.load_model(folder, version.digest)
    return Predictor(version, model, contents)


def _logged_model(store: MlflowClient, run_id: str, artifact: str) -> Any:
    """The model that a run logged last under this name, or the one of this URI."""
    if artifact.startswith("models:/"):
        return store.get_logged_model(artifact.removeprefix("models:/"))
    outputs = store.get_run(run_id).outputs
    logged = [store.get_logged_model(output.model_id) for output in (outputs.model_outputs if outputs else [])]
    named = [model for model in logged if model.name == artifact]
    if not named:
        raise ModelNotFound(f"run {run_id} logged no model {artifact!r}")
    return max(named, key=lambda model: int(model.creation_timestamp))


def _version(found: Any) -> ModelVersion:
    tags = {str(key): str(value) for key, value in found.tags.items()}
    return ModelVersion(
        use_case=str(found.name),
        version=int(found.version),
        run_id=str(found.run_id or ""),
        digest=tags.get(DIGEST, ""),
        features=tuple(json.loads(tags.get(FEATURES, "[]"))),
        data_revision=tags.get(DATA_REVISION, ""),
        tags=tags,
    )
