"""The generation in force, as the registry tells it to the replicas, and MLflow's aliases after it.

One tag of the registered model holds the whole generation: it changes in one write. The aliases say the same to whoever
looks at MLflow.
"""

from __future__ import annotations

import json

from include.deployment.generation import Generation
from include.registry import models
from include.registry.client import ModelNotFound, client, registry
from include.registry.models import ModelVersion

TAG = "deployment"
ANCHOR = "decisions"


def publish(generation: Generation) -> None:
    """Put a generation in force. Doing it again changes nothing.

    The aliases first: once the tag says a number, all of it has been done.
    """
    for alias, version in (
        (models.PREVIOUS_CHAMPION, generation.previous),
        (models.CHAMPION, generation.champion),
        (models.CHALLENGER, generation.challenger),
    ):
        known = models.by_alias(generation.use_case, alias)
        if version is None and known is not None:
            models.remove_alias(generation.use_case, alias)
        elif version is not None and (known is None or known.version != version):
            models.set_alias(generation.use_case, alias, version)
    content = json.dumps(generation.to_dict(), sort_keys=True)
    with registry():
        client().set_registered_model_tag(generation.use_case, TAG, content)


def anchor(use_case: str, head: str) -> None:
    """Keep the head of the log of decisions where the log's file is not."""
    with registry():
        client().set_registered_model_tag(use_case, ANCHOR, head)


def read_anchor(use_case: str) -> str | None:
    """The newest head of the log of decisions that was anchored; None where none was."""
    return _tags(use_case).get(ANCHOR)


def read(use_case: str) -> Generation | None:
    """The generation in force; None where nothing was ever published."""
    content = _tags(use_case).get(TAG)
    return Generation.from_dict(json.loads(content)) if content else None


def champion(use_case: str) -> ModelVersion | None:
    """The champion as the replicas serve it; None while there is none.

    Where nothing was ever published it is the version that has the alias. Later, an alias that was moved in MLflow
    itself counts from the next change on, which adopts it.
    """
    in_force = read(use_case)
    if in_force is None:
        return models.by_alias(use_case, models.CHAMPION)
    return None if in_force.champion is None else models.get(use_case, in_force.champion)


def _tags(use_case: str) -> dict[str, str]:
    try:
        with registry():
            return dict(client().get_registered_model(use_case).tags)
    except ModelNotFound:
        return {}
