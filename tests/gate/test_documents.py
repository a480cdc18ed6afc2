import pytest

from include.gate.documents import Documents, check


@pytest.mark.parametrize(
    ("documents", "failed"),
    [
        (Documents(True, ("a@example.org",)), []),
        (Documents(False, ("a@example.org",)), ["model card"]),
        (Documents(True, ()), ["owners"]),
        (Documents(True, (" ",)), ["owners"]),
        (None, ["model card", "owners"]),
    ],
)
def test_a_card_and_one_owner_are_needed(documents, failed):
    assert [each.name for each in check(documents) if not each.passed] == failed


def test_reasons_name_the_owners_or_the_cure():
    assert [each.reason for each in check(Documents(True, ("ada", "bo")))] == [
        "there is a model card",
        "owned by ada, bo",
    ]
    assert [each.reason for each in check(Documents(False, ()))] == [
        "there is no model card: train anew, which writes it",
        "nobody owns the model: name owners in use_case.yaml",
    ]
