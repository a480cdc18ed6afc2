"""The files of a trained model: an MLflow scikit-learn model with our metadata and a digest that is checked first.

A model is written as skops, which is read without executing code, where every type in it is on the list below and it
predicts the same after reading; else as cloudpickle, with the reason in the metadata. Equal models have equal digests.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from include.contract.use_case import Task
from include.files import read_json, write_json
from include.records import Record
from include.registry import canonical
from include.registry.model_input import Feature, to_model_input

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from sklearn.base import BaseEstimator

METADATA = "metadata.json"
FILES: dict[str, str] = {"skops": "model.skops", "cloudpickle": "model.pkl"}  # the names MLflow's flavor gives them
TRUSTED_PREFIXES = ("sklearn.", "numpy.", "scipy.")
TRUSTED_TYPES = frozenset({"builtins.object", "functools.partial"})  # a partial's function is checked by itself
LIBRARIES = ("scikit-learn", "numpy", "scipy", "pandas", "skops", "cloudpickle", "mlflow")
AUTHORS_MODULES = "evergreen_use_cases."


class ArtifactError(Exception):
    """A model's files that cannot be used; the message says which and why."""


class DigestMismatchError(ArtifactError):
    """The model's file is not the one that was registered. It was not read."""


@dataclass(frozen=True)
class Contents(Record):
    """``metadata.json``: what the model's file is and how to use it."""

    format: Literal["skops", "cloudpickle"]
    format_reason: str
    task: Task
    threshold: float | None
    features: tuple[Feature, ...]
    categorical: tuple[str, ...]
    python: str
    libraries: dict[str, str]
    example: dict[str, float | str | None]
    example_prediction: float
    digest: str
    metadata: dict[str, str]

    @property
    def file(self) -> str:
        return FILES[self.format]


def predict(model: BaseEstimator, task: Task, frame: pd.DataFrame) -> NDArray[np.float64]:
    """The probability of the positive class, or the value, for rows as ``to_model_input`` makes them."""
    import numpy as np

    if task == "regression":
        return np.asarray(model.predict(frame), dtype=np.float64).reshape(len(frame))
    classes = list(getattr(model, "classes_", ()))
    if not hasattr(model, "predict_proba") or len(classes) != 2:
        raise ArtifactError(
            f"{type(model).__name__}: a classification needs predict_proba and two classes, got {classes}"
        )
    return np.asarray(model.predict_proba(frame), dtype=np.float64)[:, 1]


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_model(
    model: BaseEstimator,
    folder: Path,
    *,
    task: Task,
    features: Sequence[Feature],
    example: pd.DataFrame,
    threshold: float | None = None,
    metadata: Mapping[str, str] | None = None,
    mlflow_model: Any = None,
) -> str:
    """Write the model as an MLflow model into a new folder and return the digest of its file.

    ``example`` are rows of the training set; what the model predicts for the first is kept and checked on loading.
    """
    import mlflow.sklearn

    if (task == "classification") != (threshold is not None):
        raise ArtifactError(f"threshold: {threshold!r}; a classification needs it, a regression has none")
    rows = to_model_input(example.head(5), features)
    predictions = predict(model, task, rows)
    with _quietly():
        content, trusted, reason = _serialize(model, task, rows)
    form: Literal["skops", "cloudpickle"] = "cloudpickle" if reason else "skops"
    packages = [*LIBRARIES[:4], form, "mlflow"]
    with _quietly():
        mlflow.sklearn.save_model(
            model,
            str(folder),
            mlflow_model=mlflow_model,
            serialization_format=form,
            skops_trusted_types=trusted,
            signature=_signature(features),
            input_example=rows,
            pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in packages],
            pyfunc_predict_fn="predict_proba" if task == "classification" else "predict",
        )
    (folder / FILES[form]).write_bytes(content)
    contents = Contents(
        format=form,
        format_reason=reason or "every type in the model is trusted",
        task=task,
        threshold=threshold,
        features=tuple(features),
        categorical=tuple(feature.name for feature in features if feature.kind == "categorical"),
        python=platform.python_version(),
        libraries={name: importlib.metadata.version(name) for name in LIBRARIES},
        example={name: rows[name].tolist()[0] for name in rows.columns},
        example_prediction=float(predictions[0]),
        digest=hashlib.sha256(content).hexdigest(),
        metadata=dict(metadata or {}),
    )
    write_json(folder / METADATA, contents.to_dict())
    return contents.digest


@contextmanager
def _quietly() -> Iterator[None]:
    """To name a function, skops asks every imported module for it; some warn a thousand times that they are asked."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        yield


def read_contents(folder: Path) -> Contents:
    """The metadata of a model's folder."""
    try:
        return Contents.from_dict(read_json(folder / METADATA))
    except (OSError, ValidationError, ValueError) as error:
        raise ArtifactError(f"{folder / METADATA}: not the metadata of a model: {error}") from error


def verify(folder: Path, expected_digest: str) -> Contents:
    """The metadata, if the model's file has the digest; nothing of it is deserialized."""
    contents = read_contents(folder)
    path = folder / contents.file
    found = file_digest(path) if path.is_file() else "no such file"
    if not expected_digest or found != expected_digest or contents.digest != expected_digest:
        raise DigestMismatchError(
            f"{path}: sha256 {found} is not {expected_digest or 'known'}, that of the registered model; it was not read"
        )
    return contents


def load_model(folder: Path, expected_digest: str) -> tuple[BaseEstimator, Contents]:
    """The estimator and its metadata, after its digest was verified and its example predicted as at training."""
    import numpy as np

    contents = verify(folder, expected_digest)
    path = folder / contents.file
    if contents.format == "skops":
        model = _read_skops(path)
    else:
        import cloudpickle

        with path.open("rb") as file:
            model = cloudpickle.load(file)
    row = to_model_input([contents.example], contents.features)
    prediction = float(predict(model, contents.task, row)[0])
    if not np.isclose(prediction, contents.example_prediction, rtol=1e-6, atol=1e-9):
        here = {name: importlib.metadata.version(name) for name in contents.libraries}
        changed = {name: f"{old} -> {here[name]}" for name, old in contents.libraries.items() if here[name] != old}
        raise ArtifactError(
            f"{path}: predicts {prediction!r} for its example, {contents.example_prediction!r} at training; "
            f"changed libraries: {changed or 'none'}"
        )
    return model, contents


def untrusted(types: Sequence[str]) -> list[str]:
    """The types that are not on our list."""
    return [name for name in types if name not in TRUSTED_TYPES and not name.startswith(TRUSTED_PREFIXES)]


def _read_skops(path: Path) -> Any:
    import skops.io

    types = skops.io.get_untrusted_types(file=path)
    if refused := untrusted(types):
        raise ArtifactError(f"{path}: holds types that are not trusted: {', '.join(refused)}; it was not read")
    return skops.io.load(path, trusted=types)


def _serialize(model: BaseEstimator, task: Task, rows: pd.DataFrame) -> tuple[bytes, list[str] | None, str]:
    """The file's bytes, and either the trusted types of a skops file or the reason why it is a pickle."""
    import cloudpickle
    import numpy as np
    import skops.io

    try:
        content = canonical.dumps(model)
        types = skops.io.get_untrusted_types(data=content)
        if refused := untrusted(types):
            reason = f"skops: not trusted: {', '.join(refused)}"
        else:
            again = skops.io.loads(content, trusted=types)
            if np.array_equal(predict(again, task, rows), predict(model, task, rows)):
                return content, types, ""
            reason = "skops: predicts otherwise after reading"
    except Exception as error:  # noqa: BLE001 - skops fails on foreign estimators in many ways; each means cloudpickle
        reason = f"skops: {type(error).__name__}: {error}"
    # the author's module does not exist in the process that serves
    for name in [name for name in sys.modules if name.startswith(AUTHORS_MODULES)]:
        cloudpickle.register_pickle_by_value(sys.modules[name])
    return cloudpickle.dumps(model), None, reason


def _signature(features: Sequence[Feature]) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    inputs = [ColSpec("string" if f.kind == "categorical" else "double", f.name, required=False) for f in features]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema([ColSpec("double")]))
