"""Whose wrist it is: by device before account, at the time of the reading."""

from datetime import UTC, datetime, timedelta

import pytest

from cds_service.wearables.links import WearerLink, resolve
from cds_service.wearables.records import PatientKey

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
JANE, JOHN = PatientKey("north", "-", "jane"), PatientKey("north", "-", "john")
ACCOUNT = WearerLink("cloud", JANE, NOON, user="u-7")
WATCH = WearerLink("cloud", JOHN, NOON, device="w-2")
BOTH = WearerLink("cloud", JANE, NOON, user="u-7", device="w-2")


@pytest.mark.parametrize(
    ("user", "device", "expected"),
    [
        ("u-7", "w-1", ACCOUNT),
        ("u-7", "", ACCOUNT),
        ("u-8", "w-2", WATCH),
        ("u-7", "w-2", BOTH),
        ("u-8", "w-1", None),
        ("", "", None),
    ],
)
def test_what_says_more_goes_first(
    user: str, device: str, expected: WearerLink | None
) -> None:
    assert resolve([ACCOUNT, WATCH, BOTH], user, device, NOON) == expected


def test_a_device_tells_more_than_the_account_it_belongs_to() -> None:
    assert resolve([ACCOUNT, WATCH], "u-7", "w-2", NOON) == WATCH


def test_a_device_that_is_handed_on_is_the_next_ones_from_that_moment() -> None:
    before = WearerLink("cloud", JANE, NOON, device="w", until=NOON + HOUR)
    after = WearerLink("cloud", JOHN, NOON + HOUR, device="w")

    def whose(at: datetime) -> WearerLink | None:
        return resolve([before, after], "", "w", at)

    assert whose(NOON - HOUR) is None
    assert whose(NOON) == before
    assert whose(NOON + HOUR - timedelta(microseconds=1)) == before
    assert whose(NOON + HOUR) == after
    assert not before.meets(after)


def test_a_link_that_was_taken_back_says_nothing() -> None:
    wrong = WearerLink("cloud", JANE, NOON, user="u-7", retracted=NOON)

    assert resolve([wrong], "u-7", "", NOON) is None
    assert not wrong.meets(ACCOUNT)


@pytest.mark.parametrize(
    ("other", "meets"),
    [
        (WearerLink("cloud", JOHN, NOON + HOUR, user="u-7"), True),
        (WearerLink("cloud", JOHN, NOON - HOUR, user="u-7"), True),
        (WearerLink("cloud", JOHN, NOON - HOUR, user="u-7", until=NOON), False),
        (WearerLink("cloud", JOHN, NOON, user="u-8"), False),
        (WearerLink("cloud", JOHN, NOON, user="u-7", device="w"), False),
        (WearerLink("other", JOHN, NOON, user="u-7"), False),
        (WearerLink("cloud", PatientKey("south", "-", "j"), NOON, user="u-7"), False),
    ],
)
def test_two_links_meet_that_name_the_same_at_one_moment(
    other: WearerLink, meets: bool
) -> None:
    assert ACCOUNT.meets(other) == other.meets(ACCOUNT) == meets
