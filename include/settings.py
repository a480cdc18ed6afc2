"""Every setting of the system with its default for one machine, read from the environment.

A variable is the field's name in capitals behind ``EVERGREEN_``: ``EVERGREEN_HOME``, ``EVERGREEN_SERVING_PORT``.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

REPOSITORY = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Where things are and how much of the machine they may use."""

    model_config = SettingsConfigDict(env_prefix="EVERGREEN_", frozen=True, extra="ignore")

    home: Path = Field(default=REPOSITORY / "var", description="Everything that a run writes is below it.")
    data_remote: str = Field(
        default="",
        pattern=r"^([a-z][a-z0-9]*://[^\s\"]+)?$",
        description="DVC's remote for the raw data, a URL such as s3://bucket/prefix; empty: a folder of the home.",
    )
    use_case_paths: str = Field(
        default=str(REPOSITORY / "include" / "use_cases"),
        description=f"Folders that hold use-case folders, separated by {os.pathsep!r}.",
    )
    host: str = Field(default="127.0.0.1", description="The address the servers listen on.")
    airflow_port: int = 8080
    mlflow_port: int = 5000
    serving_port: int = 8000
    exporter_port: int = Field(default=9105, description="Of the models' state for Prometheus.")
    threads: int = Field(default=1, ge=1, description="Threads of one task's numeric libraries.")
    memory: int = Field(default=2048, ge=256, description="MiB a task's queries may hold; more goes to disk.")
    serving_replicas: str = Field(
        default="", description="Base addresses of the serving replicas, separated by commas; empty: the local one."
    )
    redis: str = Field(
        default="", description="Address of the Redis that holds online features, redis://host:port/0; empty: SQLite."
    )
    feature_registry: str = Field(
        default="",
        repr=False,
        description="SQLAlchemy address of the PostgreSQL database with the feature definitions; empty: SQLite.",
    )
    spark: str = Field(
        default="", description="Address of the Spark cluster, spark://host:7077, for use cases that ask for it."
    )
    mlflow_tracking_uri: str = Field(default="", description="Empty: the local MLflow server.")
    serving_public_url: str = Field(default="", description="That of the online service; empty: the first replica's.")
    mlflow_public_url: str = Field(default="", description="MLflow's address as people reach it; empty: the same.")
    airflow_address: str = Field(
        default="", description="Of an Airflow that is not started here; empty: the local one."
    )
    airflow_user: str = Field(default="", description="Who signs in there.")
    airflow_password: str = Field(default="", repr=False, description="With what.")
    public_url: str = Field(default="", description="Airflow's address as people reach it; empty: the local one.")
    code_revision: str = Field(default="", description="The commit that runs, where the code is no checkout: an image.")
    runbooks: str = Field(
        default="docs/alerts.md", description="Where people find what to do about an alert: a page with its sections."
    )

    # access to the online service, and its limits
    authentication: bool = Field(
        default=False, description="Does the online service ask for a token? On by default in the team profile."
    )
    serving_token: str = Field(
        default="", repr=False, description="With authentication: the token with which tasks and pages ask replicas."
    )
    docs_open: bool = Field(default=False, description="With authentication: is the API's documentation open?")
    metrics_open: bool = Field(default=False, description="With authentication: is /metrics open?")
    request_rate: float | None = Field(
        default=None, gt=0, description="Requests per second of a client whose token says nothing; empty: any number."
    )
    request_burst: int | None = Field(
        default=None, ge=1, description="Of these, how many may come at once; empty: those of a second, at least one."
    )
    requests_in_progress: int = Field(default=16, ge=1, description="Requests that one process works on at a time.")
    requests_waiting: int = Field(default=64, ge=0, description="Requests that may wait for that; more are refused.")
    request_timeout: float = Field(default=10.0, gt=0, description="Seconds until a request must be answered.")
    body_limit: int = Field(default=2**23, ge=1, description="Bytes of a request's body.")

    # the log of online predictions
    prediction_log_sync: float = Field(
        default=1.0, ge=0, description="Seconds after which an answer is on the disk; 0: before it is sent."
    )
    prediction_log_key: str = Field(
        default="", repr=False, description="The secret of the hashes, where a use case has serving.log.hash."
    )

    @property
    def mlflow_uri(self) -> str:
        return self.mlflow_tracking_uri or f"http://{self.host}:{self.mlflow_port}"

    @property
    def mlflow_pages(self) -> str:
        """Where people find MLflow."""
        return self.mlflow_public_url.rstrip("/") or self.mlflow_uri

    @property
    def airflow_url(self) -> str:
        return self.airflow_address.rstrip("/") or f"http://{self.host}:{self.airflow_port}"

    @property
    def serving_headers(self) -> dict[str, str]:
        """What the system's own requests to a replica carry."""
        return {"Authorization": f"Bearer {self.serving_token}"} if self.serving_token else {}

    @property
    def pages_url(self) -> str:
        """Where people find the Models pages."""
        return f"{self.public_url.rstrip('/') or self.airflow_url}/evergreen"

    @property
    def replicas(self) -> tuple[str, ...]:
        """Base addresses of the serving replicas."""
        named = tuple(address.strip().rstrip("/") for address in self.serving_replicas.split(",") if address.strip())
        return named or (f"http://{self.host}:{self.serving_port}",)

    @property
    def serving_pages(self) -> str:
        """Where people find the online service and its documentation."""
        return self.serving_public_url.rstrip("/") or self.replicas[0]

    @property
    def use_case_folders(self) -> tuple[Path, ...]:
        return tuple(Path(path) for path in self.use_case_paths.split(os.pathsep) if path)

    @property
    def data_repository(self) -> Path:
        """The bare git repository whose commits are the data revisions."""
        return self.home / "data" / "repository.git"

    @property
    def dvc_remote(self) -> Path:
        return self.home / "data" / "remote"

    @property
    def dvc_remote_url(self) -> str:
        """Where DVC keeps the contents of the data repository."""
        return self.data_remote.rstrip("/") or str(self.dvc_remote)

    @property
    def dvc_cache(self) -> Path:
        return self.home / "data" / "cache"

    @property
    def work(self) -> Path:
        """Scratch space of running tasks, on the same file system as the stores."""
        return self.home / "work"

    @property
    def features(self) -> Path:
        return self.home / "features"

    @property
    def offline_store(self) -> Path:
        return self.features / "offline"

    @property
    def labels(self) -> Path:
        return self.home / "labels"

    @property
    def training(self) -> Path:
        return self.home / "training"

    @property
    def predictions(self) -> Path:
        return self.home / "predictions"

    @property
    def tokens(self) -> Path:
        """Who may use the online service."""
        return self.home / "serving" / "tokens.json"

    @property
    def monitoring(self) -> Path:
        return self.home / "monitoring"

    @property
    def decisions(self) -> Path:
        return self.home / "decisions"

    @property
    def deployments(self) -> Path:
        """The ledgers of what is in production."""
        return self.home / "deployments"

    @property
    def evidence(self) -> Path:
        """What decisions were made on, by use case and id."""
        return self.home / "evidence"

    @property
    def refused(self) -> Path:
        """Deliveries that were refused as a whole."""
        return self.home / "refused"

    @property
    def data_docs(self) -> Path:
        return self.home / "data_docs"

    @property
    def alerts(self) -> Path:
        return self.home / "alerts"

    @property
    def mlflow(self) -> Path:
        return self.home / "mlflow"

    @property
    def cards(self) -> Path:
        """Model cards by use case and version."""
        return self.home / "cards"

    def card(self, use_case: str, version: int) -> Path:
        return self.cards / use_case / f"{version}.html"

    @property
    def reproductions(self) -> Path:
        return self.home / "reproductions"

    @property
    def logs(self) -> Path:
        return self.home / "logs"


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process. Tests that change the environment call ``get_settings.cache_clear()``."""
    return Settings()
