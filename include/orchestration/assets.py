"""All data assets of a use case on one page: each stage publishes one, and the next waits for it.

Partitioned assets carry the key of the run's partitions (one key, or ``first/last``); every event carries the ids of
what it stands for as its ``extra``.
"""

from __future__ import annotations

from airflow.sdk import Asset


def raw(use_case: str) -> Asset:
    """Checked and versioned raw data of a partition. Extra: ``revision``, row counts."""
    return _asset(use_case, "raw")


def features(use_case: str) -> Asset:
    """Features and labels of a partition, offline and online. Extra: ``revision``, ``definition_hash``."""
    return _asset(use_case, "features")


def predictions(use_case: str) -> Asset:
    """Batch predictions of a partition. Extra: ``model_version``, ``rows``."""
    return _asset(use_case, "predictions")


def candidate(use_case: str) -> Asset:
    """A registered model version that waits for the gate. Extra: ``version``."""
    return _asset(use_case, "candidate")


def champion(use_case: str) -> Asset:
    """The version in production has changed. Extra: ``version``, ``previous``."""
    return _asset(use_case, "champion")


def _asset(use_case: str, name: str) -> Asset:
    return Asset(name=f"{use_case}.{name}", uri=f"evergreen://{use_case}/{name}", group="evergreen")
