"""The setup: does nothing twice, and says in one line what a machine lacks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from include.local import setup
from include.settings import REPOSITORY

LOCKS = [REPOSITORY / "requirements.txt", REPOSITORY / "requirements-dev.txt"]


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished setup of two locks of its own, without the installation."""
    locks = (tmp_path / "requirements.txt", tmp_path / "requirements-dev.txt")
    for lock in locks:
        lock.write_text("one==1\n")
    monkeypatch.setattr(setup, "LOCKS", locks)
    monkeypatch.setattr(setup, "VENV", tmp_path / ".venv")

    def install(chosen: tuple[Path, ...]) -> None:
        sys.stdout.write(f"installing {len(chosen)}\n")
        (tmp_path / ".venv" / "bin").mkdir(parents=True, exist_ok=True)
        (tmp_path / ".venv" / "bin" / "python").touch()

    monkeypatch.setattr(setup, "install", install)
    return tmp_path / ".venv"


def test_a_second_setup_installs_nothing(venv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setup.setup(dev=False)
    assert "installing 1" in capsys.readouterr().out

    setup.setup(dev=False)
    assert capsys.readouterr().out == ""


def test_a_changed_lock_is_installed(venv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setup.setup(dev=False)
    setup.LOCKS[0].write_text("one==2\n")
    capsys.readouterr()

    setup.setup(dev=False)

    assert "installing 1" in capsys.readouterr().out


def test_the_developers_tools_stay(venv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setup.setup(dev=False)
    setup.setup(dev=True)
    assert "installing 2" in capsys.readouterr().out

    setup.setup(dev=False)
    assert capsys.readouterr().out == ""

    setup.LOCKS[0].write_text("one==2\n")
    setup.setup(dev=False)
    assert "installing 2" in capsys.readouterr().out


def test_an_interrupted_setup_is_done_again(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup.setup(dev=False)
    setup.LOCKS[0].write_text("one==2\n")
    with monkeypatch.context() as patch:
        patch.setattr(setup, "install", lambda locks: (_ for _ in ()).throw(setup.SetupError("no network")))
        with pytest.raises(setup.SetupError):
            setup.setup(dev=False)

    assert not (venv / "evergreen-setup").exists()


def test_too_little_space_is_told_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "DISK_NEEDED", 10**18)

    with pytest.raises(setup.SetupError, match=r"GB are free.*make room, or clone to another disk"):
        setup.check_machine()


def test_missing_git_is_told_with_the_cure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(setup.SetupError, match=r"git is needed.*install it"):
        setup.check_machine()


def test_a_failing_command_shows_its_end_and_the_cure() -> None:
    with pytest.raises(setup.SetupError, match=r"the reason\nthe cure"):
        setup.run(sys.executable, "-c", "raise SystemExit('the reason')", cure="the cure")


@pytest.mark.parametrize("python", ["/nowhere/python3.11", ""])
def test_make_without_python_says_one_line(python: str) -> None:
    done = subprocess.run(
        ["make", "setup", f"PYTHON={python}"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )

    assert done.returncode != 0
    assert "PYTHON" in done.stderr or "python3.11" in done.stderr


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_holds_exact_versions_and_no_addresses(lock: Path) -> None:
    lines = [line for line in lock.read_text().splitlines() if line and not line.lstrip().startswith("#")]

    assert all("==" in line for line in lines)
    assert "://" not in lock.read_text()
    assert "/tmp" not in lock.read_text()


def test_the_developers_lock_agrees_with_the_runtimes() -> None:
    runtime, dev = (
        dict(
            line.split(" ;")[0].split("==")
            for line in lock.read_text().splitlines()
            if "==" in line and line[0].isalnum()
        )
        for lock in LOCKS
    )

    assert {name: version for name, version in dev.items() if runtime.get(name, version) != version} == {}
