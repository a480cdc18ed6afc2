"""Where the contents of the data repository are, as the settings say, and what happens when they say otherwise."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from include.ingestion import contents, versions
from include.ingestion.git import git
from include.settings import Settings, get_settings

REMOTE = "s3://data/dvc"


def ask_for(patch: pytest.MonkeyPatch, remote: str) -> None:
    patch.setenv("EVERGREEN_DATA_REMOTE", remote)
    get_settings.cache_clear()


def staged(home: Path) -> dict[str, Path]:
    folder = home / "staged"
    folder.mkdir(exist_ok=True)
    (folder / "rows.parquet").write_bytes(b"rows")
    return {"2013-01-01": folder}


def committed() -> bytes:
    return git(get_settings().data_repository, "show", f"{versions.head()}:{versions.CONFIG}").encode()


@pytest.mark.parametrize("remote", [REMOTE, f"{REMOTE}/"])
def test_the_repository_names_the_remote_of_the_settings(
    home: Path, monkeypatch: pytest.MonkeyPatch, remote: str
) -> None:
    ask_for(monkeypatch, remote)
    versions.initialize()
    assert contents.remote_of(committed()) == REMOTE
    assert not get_settings().dvc_remote.exists()
    versions.initialize()


def test_without_a_setting_the_contents_are_in_a_folder_of_the_home(home: Path) -> None:
    versions.initialize()
    assert contents.remote_of(committed()) == str(home / "data" / "remote")
    versions.publish("shop", staged(home), "one")
    assert [path for path in get_settings().dvc_remote.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("before", "after"), [("", REMOTE), (REMOTE, ""), (REMOTE, "s3://elsewhere/dvc")])
def test_a_changed_setting_is_refused_until_the_contents_have_moved(
    home: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    ask_for(monkeypatch, before)
    versions.initialize()
    revision, was = versions.head(), get_settings().dvc_remote_url
    ask_for(monkeypatch, after)
    for attempt in (versions.initialize, lambda: versions.publish("shop", staged(home), "one")):
        with pytest.raises(versions.VersionError) as refusal:
            attempt()
        for named in (str(get_settings().data_repository), ".dvc/config", was, "EVERGREEN_DATA_REMOTE", "dvc push"):
            assert named in str(refusal.value)
    assert versions.head() == revision
    ask_for(monkeypatch, before)
    versions.initialize()


def test_what_was_published_before_the_move_is_read_from_where_it_is_now(home: Path, tmp_path: Path) -> None:
    versions.initialize()
    old = versions.publish("shop", staged(home), "one")
    moved, clone = tmp_path / "moved", tmp_path / "clone"
    get_settings().dvc_remote.rename(moved)
    subprocess.run(["git", "clone", "--quiet", str(get_settings().data_repository), str(clone)], check=True)
    config = clone / versions.CONFIG
    config.write_text(config.read_text().replace(str(get_settings().dvc_remote), str(moved)))
    git(clone, "commit", "--quiet", "--all", "--message", "Move the contents")
    git(clone, "push", "--quiet")
    shutil.rmtree(get_settings().dvc_cache)
    assert versions.files("shop", old)["2013-01-01"]["rows.parquet"].read_bytes() == b"rows"


@pytest.mark.parametrize("remote", ["data/dvc", "s3:/data", "/srv/data", 's3://data/"dvc', "s3://data/d vc"])
def test_what_is_no_url_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch, remote: str) -> None:
    monkeypatch.setenv("EVERGREEN_DATA_REMOTE", remote)
    with pytest.raises(ValidationError, match="data_remote"):
        Settings()


@pytest.mark.skipif(importlib.util.find_spec("dvc_s3") is not None, reason="dvc-s3 is installed")
def test_a_remote_whose_library_is_missing_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask_for(monkeypatch, REMOTE)
    versions.initialize()
    before = versions.head()
    with pytest.raises(versions.VersionError, match=rf"nothing is published.*dvc-s3.*{REMOTE}"):
        versions.publish("shop", staged(home), "one")
    assert versions.head() == before


@pytest.mark.skipif(importlib.util.find_spec("dvc_s3") is None, reason="dvc-s3 is not installed")
def test_a_store_that_does_not_answer_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "something",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    ask_for(monkeypatch, REMOTE)
    versions.initialize()
    before = versions.head()
    with pytest.raises(versions.VersionError, match=rf"nothing is published.*127\.0\.0\.1:9.*{REMOTE}"):
        versions.publish("shop", staged(home), "one")
    assert versions.head() == before
    assert not list(get_settings().work.iterdir())
