"""Versions are made again on real stores: each kind of change that is planted is named, and nothing is touched."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from include.contract.loading import Folder, load_use_case
from include.features import compute, store
from include.files import read_json, write_json
from include.ingestion import ingest, landing, versions
from include.ingestion.git import git
from include.registry import models
from include.registry.runs import TEST_FILE, logged_file
from include.settings import REPOSITORY, get_settings
from include.training import provenance, reproduce, train
from include.training.recording import PROVENANCE_FILE
from include.training.reproduction import Reproduction

NAME = "station_temperature"
SPAN = "2013-02-04/2013-03-04"
SHARED = ("include", "feature_repo", "requirements.txt")
OWN = ("cache", "reproductions", "work")  # what a reproduction may write below the home


@dataclass(frozen=True)
class System:
    """A checkout of the project with the use case in it, and the stores that it works on."""

    project: Path
    home: Path
    patch: pytest.MonkeyPatch

    def use_case(self, parent: Path | None = None) -> Folder:
        """The use case of the checkout, or of another folder, read anew."""
        self.patch.setenv("EVERGREEN_USE_CASE_PATHS", str(parent or self.project / "use_cases"))
        get_settings.cache_clear()
        for name in [name for name in sys.modules if name.startswith(f"evergreen_use_cases.{NAME}")]:
            del sys.modules[name]
        return load_use_case(NAME)

    def trained(self, use_case: Folder, origin: str) -> int:
        prepared = train.prepare(use_case, until="2013-02-25", window=None)  # there is newer data
        return train.register(use_case, train.fit(use_case, prepared, {}, reason="test", origin=origin)).version

    def commit(self, message: str) -> None:
        git(self.project, "add", "--all")
        git(self.project, "commit", "--quiet", "--message", message)

    def edit_model(self, folder: Path, old: str, new: str) -> None:
        file = folder / "model.py"
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")

    def files(self) -> dict[str, str]:
        """The hashes of all that a reproduction must leave as it is."""
        kept = [
            path for path in self.home.rglob("*") if path.is_file() and path.relative_to(self.home).parts[0] not in OWN
        ]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    project, home = tmp_path_factory.mktemp("a project"), tmp_path_factory.mktemp("home")
    for name in SHARED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, project / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, project / name)
    shutil.copytree(REPOSITORY / "tests" / "use_cases" / NAME, project / "use_cases" / NAME,
                    ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
    (project / ".gitignore").write_text("__pycache__/\n", encoding="utf-8")
    git(project, "init", "--quiet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERGREEN_HOME", str(home))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
        patch.setenv("DVC_NO_ANALYTICS", "1")
        patch.chdir(home)
        patch.setattr(provenance, "REPOSITORY", project)
        patch.setattr(provenance, "LOCK", project / "requirements.txt")
        patch.setattr(reproduce, "REPOSITORY", project)
        found = System(project, home, patch)
        found.commit("Begin")
        use_case = found.use_case()
        versions.initialize()
        store.apply()
        partitions = use_case.config.calendar.parse(SPAN)
        landing.land(use_case, partitions)
        ingest.check(use_case, partitions)
        compute.compute(use_case, partitions, ingest.publish(use_case, partitions, origin="test").revision)
        assert found.trained(use_case, "first") == 1
        yield found
    get_settings.cache_clear()


@pytest.fixture(autouse=True)
def restored(system: System) -> Iterator[None]:
    """Whatever a test planted in the checkout is gone after it, and no reproduction leaves anything behind."""
    head = git(system.project, "rev-parse", "HEAD").strip()
    yield
    git(system.project, "reset", "--quiet", "--hard", head)
    assert not list(get_settings().work.glob("reproduce-*"))
    assert len(git(system.project, "worktree", "list").splitlines()) == 1


def kinds(found: Reproduction) -> list[str]:
    return [cause.kind for cause in found.causes]


def test_an_unchanged_version_is_byte_for_byte_the_same_and_nothing_is_touched(system: System) -> None:
    before = system.files()
    found = reproduce.reproduce(system.use_case(), 1)
    assert (found.outcome, found.causes) == ("identical", ())
    assert found.reasons == ("byte for byte the same model",)
    assert Reproduction.from_dict(read_json(reproduce.record_file(NAME, 1))) == found
    assert system.files() == before
    assert git(system.project, "status", "--porcelain") == ""


def test_where_the_project_went_on_the_recorded_commit_is_used(system: System) -> None:
    folder = system.project / "use_cases" / NAME
    system.edit_model(folder, "alpha=params", "alpha=1000 * params")
    (system.project / "include" / "training" / "rebuild.py").unlink()
    system.commit("Go on")
    found = reproduce.reproduce(system.use_case(), 1)
    assert (found.outcome, found.causes) == ("identical", ())
    assert git(system.project, "status", "--porcelain") == ""


def test_code_whose_commit_is_gone_is_named(system: System) -> None:
    system.edit_model(system.project / "use_cases" / NAME, "alpha=params", "alpha=1000 * params")
    system.commit("To be forgotten")
    number = system.trained(system.use_case(), "forgotten")
    git(system.project, "reset", "--quiet", "--hard", "HEAD~1")
    git(system.project, "reflog", "expire", "--expire=now", "--all")
    (system.project / ".git" / "ORIG_HEAD").unlink()
    git(system.project, "gc", "--quiet", "--prune=now")
    found = reproduce.reproduce(system.use_case(), number)
    assert (found.outcome, kinds(found)) == ("different", ["code"])
    assert "which is not there; of the use case model.py is not as then" in found.causes[0].detail


def test_a_version_of_uncommitted_changes_says_so(system: System) -> None:
    system.edit_model(system.project / "use_cases" / NAME, "alpha=params", "alpha=1000 * params")
    number = system.trained(system.use_case(), "uncommitted")
    assert models.get(NAME, number).tags["code_revision"].endswith("-dirty")
    found = reproduce.reproduce(system.use_case(), number)
    assert (found.outcome, kinds(found)) == ("identical", ["code"])
    git(system.project, "checkout", "--quiet", ".")
    found = reproduce.reproduce(system.use_case(), number)
    assert (found.outcome, kinds(found)) == ("different", ["code"])
    assert "changes that were not committed" in found.causes[0].detail


def test_a_version_of_a_project_without_commits_says_so(system: System) -> None:
    folder = system.project / ".git"
    away = folder.rename(system.project.parent / "git-away")
    try:
        number = system.trained(system.use_case(), "no checkout")
        found = reproduce.reproduce(system.use_case(), number)
    finally:
        away.rename(folder)
    assert models.get(NAME, number).tags["code_revision"] == provenance.UNKNOWN
    assert (found.outcome, kinds(found)) == ("identical", ["code"])
    assert "trained outside a checkout" in found.causes[0].detail


def test_a_use_case_outside_the_checkout_that_was_changed_is_named(system: System, tmp_path: Path) -> None:
    folder = shutil.copytree(system.project / "use_cases" / NAME, tmp_path / NAME)
    number = system.trained(system.use_case(tmp_path), "outside")
    system.edit_model(folder, "alpha=params", "alpha=1000 * params")
    found = reproduce.reproduce(system.use_case(tmp_path), number)
    assert (found.outcome, kinds(found)) == ("different", ["code"])
    assert found.causes[0].detail == "of the use case model.py is not as then"


def test_raw_data_of_other_bytes_is_named(system: System) -> None:
    use_case = system.use_case()
    recorded = versions.files(NAME, versions.head(), ["2013-02-18"])["2013-02-18"]["weather.parquet"]
    whole = recorded.read_bytes()
    recorded.chmod(0o644)
    try:
        pl.read_parquet(recorded).with_columns(pl.col("temp") + 5).write_parquet(recorded)
        found = reproduce.reproduce(use_case, 1)
    finally:
        recorded.write_bytes(whole)
        recorded.chmod(0o444)
    assert (found.outcome, kinds(found)) == ("different", ["data"])
    assert found.causes[0].detail == "1 raw partitions hold other bytes, 2013-02-18 first"


def test_raw_data_that_is_gone_is_named(system: System) -> None:
    stores = (get_settings().dvc_cache, get_settings().dvc_remote)
    for each in stores:
        each.rename(each.with_name(f"{each.name}-away"))
    try:
        found = reproduce.reproduce(system.use_case(), 1)
    finally:
        for each in stores:
            shutil.rmtree(each, ignore_errors=True)
            each.with_name(f"{each.name}-away").rename(each)
    assert (found.outcome, kinds(found)) == ("different", ["data"])
    assert "cannot be read" in found.causes[0].detail


def test_another_version_of_a_library_is_named(system: System) -> None:
    """As if the version had been trained under another release, which predicted otherwise."""
    use_case = system.use_case()
    version = models.get(NAME, system.trained(use_case, "library"))
    file, test = logged_file(version, PROVENANCE_FILE), logged_file(version, TEST_FILE)
    content = read_json(file)
    content["environment"]["libraries"]["scikit-learn"] = "1.0.0"
    write_json(file, content)
    pl.read_parquet(test).with_columns(pl.col("prediction") + 0.25).write_parquet(test)
    found = reproduce.reproduce(use_case, version.version)
    assert (found.outcome, kinds(found), found.difference) == ("different", ["dependency"], pytest.approx(0.25))
    assert found.causes[0].detail.startswith("scikit-learn 1.")
    assert found.causes[0].detail.endswith(" instead of 1.0.0")


def test_an_estimator_that_does_not_follow_the_seed_is_named(system: System, tmp_path: Path) -> None:
    folder = shutil.copytree(system.project / "use_cases" / NAME, tmp_path / NAME)
    system.edit_model(folder, "import Ridge", "import SGDRegressor")
    system.edit_model(folder, 'Ridge(alpha=params["alpha"], random_state=params["seed"])', "SGDRegressor()")
    number = system.trained(system.use_case(tmp_path), "restless")
    found = reproduce.reproduce(system.use_case(tmp_path), number)
    assert (found.outcome, kinds(found)) == ("different", ["nondeterminism"])
    assert "draws without its seed" in found.causes[0].detail


def test_a_version_without_provenance_is_refused_by_name(system: System) -> None:
    import mlflow

    use_case = system.use_case()
    run = mlflow.MlflowClient().get_run(models.get(NAME, system.trained(use_case, "older")).run_id)
    Path(run.info.artifact_uri.removeprefix("file://"), PROVENANCE_FILE).unlink()
    number = models.versions(NAME)[0].version
    with pytest.raises(ValueError, match=rf"{NAME} version {number}: its run \w+ has no provenance\.json"):
        reproduce.reproduce(use_case, number)
    with pytest.raises(models.ModelNotFound):
        reproduce.reproduce(use_case, 1000)
