"""What is served, as the API tells it."""

from __future__ import annotations

from include.serving.follower import Followed, Follower
from include.serving.schemas import FeatureDescription, ModelName, Ready, UseCaseStatus


def use_case_status(followed: Followed, follower: Follower) -> UseCaseStatus:
    deployment = followed.deployment
    version = deployment.version if deployment else None
    predictor = deployment.predictor if deployment else None
    lookup = deployment.lookup if deployment else None
    own = deployment.problems if deployment else ()
    problems = [*own, followed.problem, followed.challenger_problem, follower.registry.problem]
    return UseCaseStatus(
        use_case=followed.use_case.name,
        title=followed.use_case.title,
        alias=follower.alias,
        ready=followed.ready,
        current=followed.current,
        wanted_version=followed.wanted.version if followed.wanted else None,
        model=ModelName(name=version.use_case, version=version.version, run_id=version.run_id) if version else None,
        generation=followed.generation,
        challenger=followed.challenger.version.version if followed.challenger else None,
        mode=followed.mode,
        weight=followed.weight,
        digest=version.digest if version else None,
        data_revision=version.data_revision if version else None,
        task=followed.use_case.task,
        engine=deployment.served.engine if deployment else None,
        engine_reason=deployment.served.reason if deployment else None,
        threshold=predictor.threshold if predictor else None,
        loaded_at=deployment.loaded_at if deployment else None,
        features=[FeatureDescription(name=f.name, kind=f.kind) for f in (predictor.features if predictor else ())],
        feature_views=list(lookup.views) if lookup else [],
        entity_key=list(followed.use_case.entity.key),
        problems=[problem for problem in problems if problem],
    )


def ready(follower: Follower) -> Ready:
    waiting_for = [name for name, followed in follower.states.items() if not followed.ready]
    return Ready(ready=not waiting_for, waiting_for=waiting_for, registry_reachable=follower.registry.reachable)
