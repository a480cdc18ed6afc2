"""What the author of a use case writes beside ``use_case.yaml``: modules with these functions.

``source.py``               ``read(partition)``
``features.py``             ``views(window)`` and ``labels(window)``
``feature_definitions.py``  Feast entities, feature views and the feature service of the use case's name
``expectations.py``         ``suites(batch)``
``model.py``                ``build(params)``, and ``weights(rows)`` where some rows count more than others
``behaviours.py``           optional: ``behaviours(rows)``, what must hold of any model of the use case
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from sklearn.base import BaseEstimator

    from include.contract.behaviours import Behaviour
    from include.contract.partitions import Partition
    from include.ingestion.profile import TableProfile


class NotThereYet(Exception):  # noqa: N818 - not an error
    """Raised by ``read``: the source has not delivered this partition yet. The run waits and asks again."""


class Window(Protocol):
    """A partition and the accepted rows of its past, as a use case's ``features.py`` reads them.

    Nothing later than the partition can be read through it, so a feature cannot look ahead of its cut-off.
    """

    @property
    def partition(self) -> Partition: ...

    def table(self, name: str, *, partitions: int = 1) -> pl.DataFrame:
        """The rows of a raw table in the last ``partitions`` partitions, this one included.

        Partitions that were never published are absent; a table without any row has its columns and no rows.
        """
        ...


class Source(Protocol):
    def read(self, partition: Partition) -> Mapping[str, pl.DataFrame | pl.LazyFrame]:
        """All raw tables of one partition: what became known from its start until its end, and nothing later.

        A table that is larger than memory is returned as a LazyFrame.

        A partition in which nothing happened is a fact and returns tables without rows.
        Raises ``NotThereYet`` where the source has not delivered; any other exception is an error and is retried.
        """
        ...


class Features(Protocol):
    def views(self, window: Window) -> dict[str, pl.DataFrame]:
        """The rows of each feature view as known at the partition's cut-off.

        Columns: the view's join keys, its features, and ``event_timestamp`` (UTC) where it is not the cut-off.
        """
        ...

    def labels(self, window: Window) -> pl.DataFrame:
        """The labels that became known in the partition: the entity's key, ``event_timestamp`` and the label.

        ``event_timestamp`` is that of the entity's row, i.e. the moment for which the prediction was made.
        """
        ...


class Batch(Protocol):
    """A partition that has landed and is to be checked, with what is known of its past."""

    @property
    def partition(self) -> Partition: ...

    def table(self, name: str, *, partitions: int = 1) -> pl.DataFrame:
        """The landed rows of a table, before them the accepted rows of the ``partitions - 1`` partitions before."""
        ...

    def past(self, name: str) -> Sequence[tuple[Partition, TableProfile]]:
        """The profiles of a table in the partitions of ``ingestion.lookback``, the oldest first."""
        ...


class Expectations(Protocol):
    def suites(self, batch: Batch) -> dict[str, list[Any]]:
        """Great Expectations by raw table. ``meta={"severity": ...}`` says what a failure means: ``batch`` stops
        the partition, ``row`` sends the row to quarantine, ``warn`` is recorded. Without it: ``batch``."""
        ...


class Model(Protocol):
    def build(self, params: dict[str, Any]) -> BaseEstimator:
        """An unfitted scikit-learn estimator that takes a pandas DataFrame of the feature service's columns.

        A module may also have ``weights(rows: pl.DataFrame) -> Sequence[float]``: how much each row of the training set
        (join keys, ``event_timestamp``, the label and the features) counts, finite and not negative, not all 0. The
        estimator, or the last step of its pipeline, gets them as ``sample_weight``. Without it all rows count alike.
        """
        ...


class Behaviours(Protocol):
    def behaviours(self, rows: pl.DataFrame) -> Sequence[Behaviour]:
        """The behaviour tests that a candidate must pass at the gate, at least one (``include.contract.behaviours``).

        ``rows`` are some of the test stretch's, at most 2,000, with the columns that the model reads as the feature
        store gives them: to make examples from, and to know their values and types.
        """
        ...
