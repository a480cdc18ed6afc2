"""Partitions as they come into the stores, from the source to the features."""

from __future__ import annotations

from include.contract.loading import Folder
from include.contract.partitions import Partition
from include.features import compute, materialize
from include.ingestion import ingest, landing


def bring_in(use_case: Folder, key: str) -> list[Partition]:
    """Ingest a partition, or a span of them, and have its features in both stores."""
    partitions = use_case.config.calendar.parse(key)
    landing.land(use_case, partitions)
    ingest.check(use_case, partitions)
    revision = ingest.publish(use_case, partitions, origin="test").revision
    compute.compute(use_case, partitions, revision)
    materialize.materialize(use_case, partitions)
    return partitions
