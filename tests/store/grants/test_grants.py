"""Grants in the database: a sign-in is good once, and of two tokens the newer holds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from cds_service.store.grants.grants import AccountTaken
from cds_service.store.grants.records import (
    CloudGrant,
    GrantState,
    GrantWearer,
    SealedTokens,
    SignIn,
)
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store

from ..samples.test_at_once import at_once

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
EVENT = AuditEvent(NOW, "link", "north", "operator")
JANE = GrantWearer("north", "fit", "jane")
LATER = NOW + timedelta(minutes=10)
ASKED = SignIn("5f", JANE, "sealed", "http://127.0.0.1:9/callback", LATER)
TOKENS = SealedTokens("a1", "r1", NOW + timedelta(hours=1))
GIVEN = CloudGrant(JANE, ("steps.read",), TOKENS, NOW, vendor_user="g-1")


def test_a_sign_in_is_redeemed_once_and_before_its_time_is_over(store: Store) -> None:
    store.grants.begin(ASKED, EVENT)

    assert store.grants.redeem("60", NOW) is None
    assert store.grants.redeem("5f", LATER) is None
    assert store.grants.redeem("5f", NOW) == ASKED
    assert store.grants.redeem("5f", NOW) is None


def test_who_waits_for_a_sign_in_hears_what_became_of_it(
    store: Store, rows: Any
) -> None:
    store.grants.begin(ASKED, EVENT)
    assert store.grants.outcome("5f") == ""

    store.grants.settle("5f", "connected")

    assert store.grants.outcome("5f") == "connected"
    assert store.grants.outcome("60") is None
    assert rows("SELECT verifier FROM sign_ins") == [{"verifier": ""}]


def test_old_sign_ins_go_with_the_next_one(store: Store, rows: Any) -> None:
    store.grants.begin(ASKED, EVENT)
    two_days = NOW + timedelta(days=2)

    store.grants.begin(
        replace(ASKED, state="60", until=two_days), replace(EVENT, at=two_days)
    )

    assert rows("SELECT state FROM sign_ins") == [{"state": "60"}]


def test_a_new_grant_takes_the_place_of_the_one_before(store: Store) -> None:
    first = store.grants.keep(GIVEN, EVENT)
    second = store.grants.keep(replace(GIVEN, tokens=SealedTokens("a2", "r2")), EVENT)

    assert (second.id, second.epoch) == (first.id, first.epoch + 1)
    assert list(store.grants.all()) == [second]
    assert store.grants.find("north", "fit", "jane") == second
    assert store.grants.find("north", "fit", "john") is None


def test_one_account_of_a_vendor_is_not_two_wearers(store: Store) -> None:
    first = store.grants.keep(GIVEN, EVENT)
    john = replace(GIVEN, wearer=replace(JANE, user="john"))

    with pytest.raises(AccountTaken):
        store.grants.keep(john, EVENT)

    store.grants.end(first, GrantState.REVOKED, "the wearer took it back", EVENT)
    assert store.grants.keep(john, EVENT).wearer.user == "john"


def test_of_many_who_come_back_from_one_account_at_once_one_is_connected(
    store: Store,
) -> None:
    def come_back(account: int, user: int) -> bool:
        grant = replace(
            GIVEN,
            wearer=replace(JANE, user=f"{account}-{user}"),
            vendor_user=f"g-{account}",
        )
        try:
            store.grants.keep(grant, EVENT)
        except AccountTaken:
            return False
        return True

    for account in range(10):
        works = (partial(come_back, account, user) for user in range(4))

        assert sum(at_once(*works)) == 1


def test_of_two_who_renew_a_grant_one_does(store: Store) -> None:
    grant = store.grants.keep(GIVEN, EVENT)
    assert store.grants.begin_refresh(grant, NOW)
    begun = store.grants.find("north", "fit", "jane")
    assert begun is not None and begun.refresh_begun == NOW

    renewed = store.grants.renew(grant, SealedTokens("a2", "r2"))

    assert renewed is not None and renewed.tokens == SealedTokens("a2", "r2")
    assert renewed.refresh_begun is None
    assert store.grants.renew(grant, SealedTokens("a3", "r3")) is None
    assert not store.grants.begin_refresh(grant, NOW)


def test_a_grant_that_has_ended_keeps_no_token_and_says_why(
    store: Store, rows: Any
) -> None:
    grant = store.grants.keep(GIVEN, EVENT)

    assert store.grants.end(grant, GrantState.REVOKED, "invalid_grant", EVENT)
    assert not store.grants.end(grant, GrantState.BROKEN, "twice", EVENT)

    ended = store.grants.find("north", "fit", "jane")
    assert ended is not None
    assert (ended.state, ended.why) == (GrantState.REVOKED, "invalid_grant")
    assert ended.tokens == SealedTokens()
    assert "r1" not in str(rows("SELECT * FROM grants"))


def test_tokens_are_sealed_anew_but_for_those_that_are_newer_by_now(
    store: Store,
) -> None:
    grant = store.grants.keep(GIVEN, EVENT)

    def reseal(each: CloudGrant) -> SealedTokens | None:
        if each.tokens.access.startswith("new "):
            return None
        told = each.tokens
        return replace(told, access=f"new {told.access}", refresh=f"new {told.refresh}")

    def reseal_too_late(each: CloudGrant) -> SealedTokens | None:
        store.grants.renew(each, SealedTokens("a2", "r2"))
        return SealedTokens("old", "old")

    assert store.grants.reseal(reseal) == (1, 1)
    assert store.grants.reseal(reseal) == (0, 1)
    sealed = store.grants.find("north", "fit", "jane")
    assert sealed is not None and sealed.tokens.access == "new a1"
    assert sealed.epoch == grant.epoch

    assert store.grants.reseal(reseal_too_late) == (0, 1)
    newer = store.grants.find("north", "fit", "jane")
    assert newer is not None and newer.tokens.access == "a2"
