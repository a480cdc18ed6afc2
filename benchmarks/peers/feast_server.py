"""A prediction by key as tutorials show it: FastAPI, Feast's ``get_online_features``, a DataFrame, the pipeline.

The same definitions and the same rows as ours, in Feast's own SQLite online store, which is filled before it serves.
``python -m benchmarks.peers.feast_server PORT``.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

from include.contract.loading import load_use_case
from include.features.store import definitions
from include.registry import models
from include.settings import get_settings

USE_CASE = "flight_delay"


def filled_store() -> Any:
    """A feature store of its own with the features of the service, as known at the end of the last computed day."""
    from feast import FeatureService, FeatureStore, FeatureView, RepoConfig

    from include.features.compute import computed

    use_case, folder = load_use_case(USE_CASE), get_settings().home / "tutorial"
    folder.mkdir(parents=True, exist_ok=True)
    config = RepoConfig(
        project="tutorial",
        provider="local",
        registry=str(folder / "registry.db"),
        offline_store={"type": "include.features.offline.store.PolarsOfflineStore"},
        online_store={"type": "sqlite", "path": str(folder / "online.db")},
        entity_key_serialization_version=3,
    )
    store, defined = FeatureStore(config=config), definitions(use_case)
    store.apply(defined)
    (service,) = [each for each in defined if isinstance(each, FeatureService) and each.name == USE_CASE]
    asked = {projection.name for projection in service.feature_view_projections}
    views = [each.name for each in defined if type(each) is FeatureView and each.name in asked]
    days = computed(use_case, use_case.config.entity.view)
    store.materialize(days[0].start - timedelta(days=1), days[-1].cutoff, views)
    return store


def application() -> Any:
    from fastapi import FastAPI
    from pydantic import BaseModel

    version = models.by_alias(USE_CASE, models.CHAMPION)
    if version is None:
        raise RuntimeError(f"{USE_CASE} has no champion")
    predictor, store = models.load(version), filled_store()
    model: Any = predictor.model
    service = store.get_feature_service(USE_CASE)
    names = [each.name for each in predictor.features]
    texts = {each.name for each in predictor.features if each.kind == "categorical"}
    numbers = [name for name in names if name not in texts]
    app = FastAPI()

    class Request(BaseModel):
        flights: list[dict[str, str | None]]

    @app.get("/health")
    def ready() -> dict[str, str]:
        return {"status": "ready"}

    def predict(body: Request) -> dict[str, list[float]]:
        frame = store.get_online_features(features=service, entity_rows=body.flights).to_df()[names]
        frame = frame.astype(dict.fromkeys(numbers, float))
        return {"predictions": model.predict_proba(frame)[:, 1].tolist()}

    predict.__annotations__["body"] = Request  # the class is made here, where FastAPI does not find it by its name
    app.post("/predict")(predict)
    return app


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(application(), port=int(sys.argv[1]), access_log=False, log_level="warning")
