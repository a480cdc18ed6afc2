"""The verdict on a rebuild: each of the four causes is named where it was planted, and no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from include.training.provenance import UNKNOWN, Code, Environment, Partition, Provenance
from include.training.reproduction import TOLERANCE, Rebuilt, Reproduction, judge, unable, unreadable
from include.training.training_set import Plan

COMMIT, OTHER = "a" * 40, "b" * 40
HERE = Environment("3.11.7", "x86_64", "1", "lock", {"scikit-learn": "1.9.1", "numpy": "2.4.6"})
FILES = {"features.py": "f1", "model.py": "f2", "use_case.yaml": "f3"}
RECORDED = Provenance(
    use_case="trips",
    code=Code(COMMIT, ""),
    environment=HERE,
    data_revision="r" * 40,
    partitions={"2013-01-01": Partition("x", "m1", "v1"), "2013-01-02": Partition("y", "m2", "v2")},
    first="2013-01-01",
    last="2013-01-02",
    plan=Plan(None, datetime(2013, 1, 2, tzinfo=UTC), datetime(2013, 1, 3, tzinfo=UTC)),
    definition_hash="definitions",
    training_set="rows",
    params={"seed": 1},
    origin="test",
    reason="test",
    files=FILES,
)
SAME = Rebuilt(COMMIT, FILES, HERE, {"2013-01-01": "m1", "2013-01-02": "m2"}, "definitions", "rows", "digest", 0.0, 0.0)


def verdict(recorded: Provenance = RECORDED, **changes: Any) -> Reproduction:
    return judge(recorded, "digest", replace(SAME, **changes))


def kinds(found: Reproduction) -> list[str]:
    return [cause.kind for cause in found.causes]


def test_equal_predictions_are_identical() -> None:
    found = verdict()
    assert (found.outcome, found.difference, found.causes) == ("identical", 0.0, ())
    assert found.reasons == ("byte for byte the same model",)
    assert verdict(digest="other").reasons == ("the same predictions to the last bit",)


def test_a_small_difference_is_within_tolerance() -> None:
    assert verdict(difference=TOLERANCE).outcome == "within tolerance"
    assert verdict(difference=TOLERANCE * 1.01).outcome == "different"


@pytest.mark.parametrize(
    ("changes", "kind", "detail"),
    [
        ({"partitions": {"2013-01-01": "m1"}}, "data", "1 raw partitions are gone, 2013-01-02 first"),
        (
            {"partitions": {"2013-01-01": "x", "2013-01-02": "m2"}, "training_set": "others"},
            "data",
            "1 raw partitions hold other bytes, 2013-01-01 first",
        ),
        ({"training_set": "others"}, "data", "equal raw data gave the training set rows, and now others"),
        ({"commit": OTHER}, "code", "rebuilt with commit bbbbbbbbbbbb instead of aaaaaaaaaaaa, which is not there"),
        (
            {"definition_hash": "redefined", "training_set": "others"},
            "code",
            "features defined by redefined instead of definitions",
        ),
        ({"files": {**FILES, "model.py": "edited"}}, "code", "of the use case model.py is not as then"),
        (
            {"files": {"features.py": "f1", "model.py": "edited", "new.py": "n"}},
            "code",
            "of the use case model.py, new.py, use_case.yaml are not as then",
        ),
        (
            {"environment": replace(HERE, python="3.12.2"), "training_set": "others"},
            "dependency",
            "python 3.12.2 instead of 3.11.7",
        ),
        (
            {"environment": replace(HERE, libraries={**HERE.libraries, "scikit-learn": "1.8.0"})},
            "dependency",
            "scikit-learn 1.8.0 instead of 1.9.1",
        ),
        ({"environment": replace(HERE, threads="")}, "dependency", "threads unset instead of 1"),
        ({"environment": replace(HERE, lock="other")}, "dependency", "the lock other instead of lock"),
        ({"environment": replace(HERE, python="3.12.1")}, "dependency", "python 3.12.1 instead of 3.11.7"),
        ({"spread": 0.2}, "nondeterminism", "two fits of the same rows here differ by up to 0.2"),
        ({}, "nondeterminism", "the first one did not follow its seed"),
    ],
)
@pytest.mark.parametrize("difference", [0.1, None])
def test_a_difference_names_its_cause_and_no_other(
    changes: dict[str, Any], kind: str, detail: str, difference: float | None
) -> None:
    found = verdict(**{"difference": difference, **changes})
    assert found.outcome == "different"
    assert kinds(found) == [kind]
    assert detail in found.causes[0].detail
    how = "the rows of the test stretch are not the same" if difference is None else "predictions differ by up to 0.1"
    assert found.reasons == (how, f"{kind}: {found.causes[0].detail}")


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        (Code(UNKNOWN, ""), "was trained outside a checkout"),
        (Code(COMMIT, "patch"), "changes that were not committed on top of aaaaaaaaaaaa"),
    ],
)
def test_code_that_was_never_committed_is_a_cause(code: Code, detail: str) -> None:
    found = verdict(replace(RECORDED, code=code), difference=0.5)
    assert kinds(found) == ["code"]
    assert detail in found.causes[0].detail


def test_several_causes_are_all_named() -> None:
    found = verdict(
        difference=0.5, commit=OTHER, partitions={}, environment=replace(HERE, machine="aarch64"), spread=0.1
    )
    assert kinds(found) == ["code", "data", "dependency", "nondeterminism"]
    assert len(found.reasons) == 5


def test_what_differs_without_consequence_is_told_beside_an_identical_result() -> None:
    found = verdict(environment=replace(HERE, lock="other"))
    assert found.outcome == "identical"
    assert kinds(found) == ["dependency"]


def test_a_version_that_kept_no_hashes_of_its_files_is_not_held_against_them() -> None:
    assert verdict(replace(RECORDED, files={}), difference=0.5, spread=0.5).reasons[1].startswith("nondeterminism")


def test_a_rebuild_that_failed_is_different_by_what_is_known() -> None:
    libraries = {**HERE.libraries, "numpy": "1.26.0"}
    failed = replace(SAME, environment=replace(HERE, libraries=libraries), difference=None)
    found = unable(RECORDED, failed, "TypeError: no such argument")
    assert (found.outcome, kinds(found)) == ("different", ["dependency"])
    assert found.reasons[0] == "it could not be made again: TypeError: no such argument"
    found = unable(RECORDED, replace(SAME, difference=None), "KeyError: x")
    assert found.causes[0].detail == "the rebuild failed: KeyError: x"
    assert kinds(found) == ["code"]


def test_raw_data_that_cannot_be_read_is_the_cause() -> None:
    found = unreadable(RECORDED, "the remote is away")
    assert (found.outcome, kinds(found)) == ("different", ["data"])
    assert found.reasons[1] == "the raw data of revision rrrrrrrrrrrr cannot be read: the remote is away"
