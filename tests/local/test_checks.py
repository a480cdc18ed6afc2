"""What keeps the system from starting is said in one line with the cure."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.local import checks, system
from include.local.checks import CheckError, Port, check_machine, check_ports
from include.settings import Settings


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_in_use_is_named_with_its_owner_and_the_variable(taken: int) -> None:
    with pytest.raises(CheckError) as failure:
        check_ports([Port(taken, "MLflow", "EVERGREEN_MLFLOW_PORT")], "127.0.0.1")

    assert str(failure.value).startswith(f"port {taken} for MLflow is in use by ")
    assert f"(process {os.getpid()}, started in " in str(failure.value)
    assert str(failure.value).endswith(f"make up MLFLOW_PORT={taken + 1} (or set EVERGREEN_MLFLOW_PORT)")


def test_free_ports_pass(taken: int) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        free = listener.getsockname()[1]

    check_ports([Port(free, "Airflow", "EVERGREEN_AIRFLOW_PORT")], "127.0.0.1")


def test_the_check_of_a_system_looks_at_all_its_ports(taken: int, tmp_path: Path) -> None:
    with pytest.raises(CheckError, match=r"Airflow(.|\n)*MLflow(.|\n)*serving"):
        system.check(Settings(home=tmp_path, airflow_port=taken, mlflow_port=taken, serving_port=taken))


def test_a_home_that_breaks_addresses_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match=r"the path contains #.*set EVERGREEN_HOME"):
        check_machine(Settings(home=tmp_path / "my#home"))


def test_too_little_space_is_told_with_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "DISK_NEEDED", 10**18)

    with pytest.raises(CheckError, match=r"GB are free.*make room, or set EVERGREEN_HOME"):
        check_machine(Settings(home=tmp_path / "not there yet"))


def test_missing_git_is_told_with_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(CheckError, match=r"git is needed.*install it"):
        check_machine(Settings(home=tmp_path))


def test_clean_refuses_a_folder_that_it_has_not_made(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()

    with pytest.raises(CheckError, match="was not made by make up"):
        system.clean(Settings(home=tmp_path))

    assert (tmp_path / "precious").exists()


def test_down_without_a_system_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    system.down(Settings(home=tmp_path))

    assert capsys.readouterr().out == "down: nothing was running\n"


def test_status_without_a_system_is_not_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not system.status(Settings(home=tmp_path))
    assert capsys.readouterr().out.count("not running") == 6
