"""How long an override keeps a card away, and which overrides are about the data."""

import pytest

from cds_service.rulebook.engine.alerting import ANY_REASON, AboutData, Alerting
from cds_service.rulebook.values.intervals import Duration

DAY, WEEK, YEAR = Duration(1, "day"), Duration(1, "week"), Duration(1, "year")


@pytest.mark.parametrize(
    ("reason", "length"),
    [("urn:s|known", DAY), ("urn:s|other", WEEK), (ANY_REASON, WEEK)],
)
def test_a_reason_that_is_not_named_counts_as_any(
    reason: str, length: Duration
) -> None:
    alerting = Alerting(snooze={"urn:s|known": DAY, ANY_REASON: WEEK})

    assert alerting.snoozed_for(reason) == length


def test_a_reason_for_which_nothing_is_said_snoozes_nothing() -> None:
    assert Alerting(snooze={"urn:s|known": DAY}).snoozed_for("urn:s|other") is None
    assert Alerting().snoozed_for(ANY_REASON) is None


def test_a_card_is_for_all_where_the_user_does_not_make_it_another() -> None:
    assert not Alerting().is_for_all
    assert Alerting(once_per=("patient", "rule")).is_for_all
    assert not Alerting(once_per=("patient", "rule", "user")).is_for_all


def test_a_rule_looks_back_as_far_as_it_repeats_nothing_and_snoozes() -> None:
    both = Alerting(repeat_after=YEAR, snooze={"urn:s|known": DAY, ANY_REASON: WEEK})

    assert both.looks_back == (YEAR, DAY, WEEK)
    assert Alerting(repeat_after=YEAR).looks_back == (YEAR,)
    assert Alerting().looks_back == ()


def test_an_override_about_the_data_counts_as_the_rule_says_and_else_as_the_site() -> (
    None
):
    about = AboutData(
        {"urn:s|wrong": WEEK, "urn:s|odd": None},
        {"a": Alerting(snooze={"urn:s|wrong": DAY}), "b": Alerting()},
    )

    assert about.lasts("a", "urn:s|wrong") == DAY
    assert about.lasts("b", "urn:s|wrong") == WEEK
    assert about.lasts("gone", "urn:s|wrong") == WEEK
    assert about.lasts("a", "urn:s|odd") is None
    assert about.lasts("a", "urn:s|busy") is None
    assert set(about.looks_back) == {DAY, WEEK}
    assert AboutData().looks_back == ()
