"""The connection to MLflow, and what its failures mean."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from include.settings import get_settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

ABSENT = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
OURS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS")  # the store answered; the call was wrong


class ModelNotFound(LookupError):  # noqa: N818 - what it says is the answer
    """The registry was asked and has no such model or version."""


class RegistryUnavailable(Exception):  # noqa: N818 - a state of the registry
    """The registry could not be asked, so that nothing is known about the model."""


def tracking_uri() -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or get_settings().mlflow_uri


def client() -> MlflowClient:
    with registry():
        return _client_of(tracking_uri())


@lru_cache(maxsize=4)
def _client_of(uri: str) -> MlflowClient:
    from mlflow import MlflowClient

    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@contextmanager
def registry() -> Iterator[None]:
    """Tells "it is not there" from "the registry could not be asked"."""
    import mlflow
    import requests
    import sqlalchemy.exc

    try:
        yield
    except mlflow.MlflowException as error:
        if error.error_code in ABSENT:
            raise ModelNotFound(error.message) from error
        if error.error_code in OURS:
            raise
        raise RegistryUnavailable(f"{tracking_uri()}: {error.message}") from error
    except (requests.RequestException, sqlalchemy.exc.SQLAlchemyError, ConnectionError, TimeoutError) as error:
        raise RegistryUnavailable(f"{tracking_uri()}: {error}") from error
