"""A PostgreSQL server of its own for tests and benchmarks."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


def _programs() -> Path | None:
    """The folder of the server's programs: Debian puts them on no path."""
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


PROGRAMS = _programs()
INSTALLED = PROGRAMS is not None
MISSING = "PostgreSQL's server is not installed (Debian: apt-get install postgresql)"
USER = "evergreen"
PASSWORD = "p@ss: #word/$HOME%'\""  # all that an address, YAML or a shell might take for its own
# It refuses to run as root, whose tests have it run as the user that Debian's package makes.
ACCOUNT = "postgres" if os.geteuid() == 0 else None


@dataclass(frozen=True)
class Postgres:
    """A server on a free port of loopback, which may be stopped and started."""

    folder: Path
    port: int

    def address(self, database: str) -> str:
        """SQLAlchemy's address of a database."""
        from sqlalchemy.engine import URL

        return URL.create("postgresql+psycopg2", USER, PASSWORD, "127.0.0.1", self.port, database).render_as_string(
            hide_password=False
        )

    def create_database(self, name: str) -> str:
        """A new empty database; returns its address."""
        self.execute(f'CREATE DATABASE "{name}"')
        return self.address(name)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """The rows of one statement, outside a transaction."""
        from sqlalchemy import create_engine, text

        engine = create_engine(self.address(database), isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                result = connection.execute(text(statement))
                return [tuple(row) for row in result] if result.returns_rows else []
        finally:
            engine.dispose()

    def start(self) -> None:
        """Returns when the server answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._control("start", "-w", "-l", str(self.folder / "log"), "-o", options)

    def stop(self, mode: str = "immediate") -> None:
        """``immediate`` is an end without a word to anybody, as by a crash."""
        self._control("stop", "-w", "-m", mode)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _control(self, *arguments: str) -> None:
        run("pg_ctl", "-D", str(self.folder / "data"), *arguments)


def run(program: str, *arguments: str) -> None:
    """One of the server's programs; it must succeed."""
    assert PROGRAMS is not None, MISSING
    command = [str(PROGRAMS / program), *arguments]
    # A server that is started keeps what it inherits open: a pipe would never end.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            command, cwd="/", stdout=output, stderr=output, user=ACCOUNT, group=ACCOUNT, check=False, timeout=120
        )
        output.seek(0)
        assert done.returncode == 0, f"{program}: {output.read().decode(errors='replace')}"


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """Runs a new server; its folder is not below pytest's, which another user may not enter."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        server = Postgres(Path(name), port)
        password = server.folder / "password"
        password.write_text(PASSWORD)
        if ACCOUNT is not None:
            for path in (server.folder, password):
                shutil.chown(path, ACCOUNT, ACCOUNT)
        run("initdb", "-D", str(server.folder / "data"), "-U", USER, "--pwfile", str(password), "-A", "scram-sha-256",
            "-E", "UTF8", "--no-sync")  # fmt: skip
        server.start()
        try:
            yield server
        finally:
            if (server.folder / "data" / "postmaster.pid").exists():
                server.stop()
