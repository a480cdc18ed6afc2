"""The Feast repository in ``feature_repo/``: which of its configurations counts, and what that reads."""

from __future__ import annotations

from include.settings import REPOSITORY, Settings

FEATURE_REPO = REPOSITORY / "feature_repo"
DRIVER = "postgresql+psycopg2"

# The databases take their options by different names: in the address each finds its own. A writer of SQLite waits for
# the one before it. A server of PostgreSQL that does not answer is given up; else one waits for it for minutes.
SQLITE = {"timeout": "60"}  # seconds
POSTGRESQL = {"connect_timeout": "10", "tcp_user_timeout": "10000"}  # seconds, milliseconds


def variables(settings: Settings) -> dict[str, str]:
    """The environment variables for Feast, in a process of the system as for its own command line.

    ``ValueError`` where ``feature_registry`` is no address of a PostgreSQL database.
    """
    return {
        "FEAST_FS_YAML_FILE_PATH": str(
            FEATURE_REPO / ("feature_store.redis.yaml" if settings.redis else "feature_store.yaml")
        ),
        "FEAST_REGISTRY": registry_address(settings),
        "EVERGREEN_FEATURES": str(settings.features.absolute()),
        "EVERGREEN_REDIS": settings.redis,
    }


def registry_address(settings: Settings) -> str:
    """SQLAlchemy's address of the registry; options that the setting names itself win."""
    from sqlalchemy.engine import URL, make_url
    from sqlalchemy.exc import ArgumentError

    if not settings.feature_registry:
        database = str(settings.features.absolute() / "registry.db")
        return URL.create("sqlite", database=database, query=SQLITE).render_as_string()
    wrong = f"EVERGREEN_FEATURE_REGISTRY: expected {DRIVER}://user:password@host:5432/database, got "
    try:
        url = make_url(settings.feature_registry)
    except (ArgumentError, ValueError):
        raise ValueError(f"{wrong}what is no address; special characters are written as %40") from None
    if url.drivername != DRIVER or not url.database:
        raise ValueError(wrong + url.render_as_string())
    return url.set(query={**POSTGRESQL, **url.query}).render_as_string(hide_password=False)


def has_registry(settings: Settings) -> bool:
    """Is there anything to open? Opening creates the SQLite file; a database of its own is there before."""
    return bool(settings.feature_registry) or settings.features.is_dir()
