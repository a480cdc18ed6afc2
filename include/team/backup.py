"""Backup and restore of everything that cannot be made again. Only the standard library.

A backup is a folder: a dump of each database, an archive of each volume, and ``manifest.json`` with their hashes, which
is written last: a folder without it is no backup. Airflow does not run meanwhile, so that the stores fit each other;
the replicas go on answering.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from include.team import secrets_file
from include.team.engine import Compose, EngineError, docker
from include.team.services import AIRFLOW, BUILT, READY_WITHIN, SECRETS, chosen, compose, project, setting
from include.team.system import build, start

MANIFEST = "manifest.json"
DATABASES = ("airflow", "mlflow", "mlflow_users", "features")  # as config/postgres/databases.sh makes them
# Each volume, and the service that must not write to it meanwhile. What PostgreSQL has is dumped instead.
VOLUMES = {"home": "", "redis": "redis", "objects": "objects"}
# What is in a backup opens with these only; users of the stores are made anew with the secrets of the day.
BOUND = ("FERNET_KEY", "PREDICTION_LOG_KEY")


def backup(target: str) -> int:
    """Write a backup into a new folder. Tasks that run finish first; what would start meanwhile starts afterwards."""
    folder = Path(target or f"backups/{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}").absolute()
    services, started = compose(), time.monotonic()
    if not any(state.well for state in services.states("postgres")):
        raise EngineError("the system does not run: make team-up")
    if folder.exists() and any(folder.iterdir()):
        raise EngineError(f"{folder} is not empty: name a new folder with TO=")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    print("backup: Airflow stops; running tasks may finish", flush=True)
    services.run("stop", *AIRFLOW)
    try:
        for database in DATABASES:
            print(f"backup: database {database}", flush=True)
            dump = ["docker", "exec", _container(services), "pg_dump", "-U", "postgres", "-Fc", database]
            _to_file(dump, folder / f"{database}.dump")
        for volume, service in _volumes(services).items():
            _archive(services, volume, service, folder / f"{volume}.tar.gz")
    finally:
        services.run("start", *AIRFLOW)
    files = {file.name: _digest(file) for file in sorted(folder.iterdir())}
    manifest = {"made": datetime.now(UTC).isoformat(), "files": files, "secrets": fingerprints(_secrets())}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    services.wait(AIRFLOW, READY_WITHIN)
    size = sum(file.stat().st_size for file in folder.iterdir()) / 2**20
    print(f"backup: {folder}, {size:.0f} MiB in {time.monotonic() - started:.0f} s; keep {SECRETS.name} beside it")
    return 0


def restore(source: str) -> int:
    """Bring a backup into an installation that has no data yet, and start it."""
    if not source:
        raise EngineError("name the backup: make team-restore FROM=backups/...")
    folder, services, began = Path(source).absolute(), compose(), time.monotonic()
    check(folder, _secrets())
    build(services, *chosen(services, *BUILT))
    if left := _filled([_volume(name) for name in (*_volumes(services), "postgres")]):
        raise EngineError(
            f"there is data in {', '.join(left)}, which a restore would replace: keep what you need, then "
            f"`make team-down` and `docker volume rm {' '.join(left)}`"
        )
    print("restore: the volumes", flush=True)
    services.run("up", "--no-start", "--no-build", "postgres", "prepare", *chosen(services, "redis", "objects"))
    for volume in _volumes(services):
        command = _within(f"{_volume(volume)}:/volume", "tar", "-xzpf", "-", "-C", "/volume")
        with (folder / f"{volume}.tar.gz").open("rb") as archive:
            _run(command, stdin=archive)
    print("restore: PostgreSQL", flush=True)
    services.run("up", "--detach", "--no-build", "--no-deps", "postgres")
    services.wait(["postgres"], READY_WITHIN)
    for database in DATABASES:
        command = ["docker", "exec", "--interactive", _container(services), "pg_restore", "-U", "postgres"]
        with (folder / f"{database}.dump").open("rb") as dump:
            _run([*command, "--exit-on-error", "--dbname", database], stdin=dump)
    start(services)
    print(f"restore: {folder} is back after {time.monotonic() - began:.0f} s")
    return 0


def check(folder: Path, secrets: Mapping[str, str]) -> None:
    """``EngineError`` where the folder is no whole backup, or one that these secrets do not open."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files, bound = manifest["files"], manifest["secrets"]
    except (OSError, ValueError, LookupError) as error:
        raise EngineError(f"{folder / MANIFEST}: {error}: this is no backup, or one that was not finished") from error
    for name, digest in files.items():
        if not (folder / name).is_file() or _digest(folder / name) != digest:
            raise EngineError(f"{folder / name} is missing or not what was written: take another copy of the backup")
    if other := [name for name, value in fingerprints(secrets).items() if bound.get(name) != value]:
        raise EngineError(
            f"{SECRETS}: {', '.join(other)}: not those of the backup; put back the file that was kept with it"
        )


def fingerprints(secrets: Mapping[str, str]) -> dict[str, str]:
    """By which a backup knows its secrets; they are random, so that a hash tells nothing of them."""
    return {name: hashlib.sha256(f"{name} {secrets.get(name, '')}".encode()).hexdigest()[:16] for name in BOUND}


def _secrets() -> dict[str, str]:
    return secrets_file.read(SECRETS)


def _archive(services: Compose, volume: str, service: str, file: Path) -> None:
    print(f"backup: {volume}", flush=True)
    if service:
        services.run("stop", service)
    try:
        # The replicas write on: what they add while it is read belongs to the next backup.
        options = ["--warning=no-file-changed", "--exclude=./work", "--exclude=./cache"]
        command = _within(f"{_volume(volume)}:/volume:ro", "tar", *options, "-czf", "-", "-C", "/volume", ".")
        _to_file(command, file, allowed=(0, 1))
    finally:
        if service:
            services.run("start", service)
            services.wait([service], READY_WITHIN)


def _volumes(services: Compose) -> dict[str, str]:
    """Those of this installation: object storage of the user's own is not among them."""
    return {name: service for name, service in VOLUMES.items() if not service or chosen(services, service)}


def _volume(name: str) -> str:
    return f"{project()}_{name}"


def _filled(volumes: Sequence[str]) -> list[str]:
    """Those with files. One that was made beforehand, on other storage than Docker's own, may be there and empty."""
    known = set(docker("volume", "ls", "--quiet").split())
    look = ["find", "/volume", "-mindepth", "1", "-not", "-name", "lost+found", "-print", "-quit"]
    present = [each for each in volumes if each in known]
    return [each for each in present if docker(*_within(f"{each}:/volume:ro", *look)[1:]).strip()]


def _within(volume: str, program: str, *arguments: str) -> list[str]:
    """The command that runs a program which sees a volume and nothing else."""
    options = ["--rm", "--interactive", "--network", "none", "--user", "0", "--volume", volume]
    return ["docker", "run", *options, "--entrypoint", program, _image(), *arguments]


def _container(services: Compose) -> str:
    return services.states("postgres")[0].name


def _image() -> str:
    """One with tar and find that is here in any case."""
    return setting("AIRFLOW_IMAGE", "evergreen-airflow")


def _to_file(command: Sequence[str], file: Path, allowed: Sequence[int] = (0,)) -> None:
    with file.open("xb") as stream:
        _run(command, stdout=stream, allowed=allowed)


def _run(command: Sequence[str], allowed: Sequence[int] = (0,), **streams: object) -> None:
    done = subprocess.run(command, stderr=subprocess.PIPE, check=False, **streams)  # type: ignore[call-overload]
    if done.returncode not in allowed:
        raise EngineError(f"{' '.join(command[:3])} ... failed: {done.stderr.decode().strip()[-2000:]}")


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
