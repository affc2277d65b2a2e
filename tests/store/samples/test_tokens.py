"""Tokens of wearers: shown once, good for one wearer and some formats, revocable."""

from datetime import date, timedelta
from typing import Any

import pytest

from cds_service.store.samples.links import UnknownLink
from cds_service.store.samples.tokens import UnknownToken
from cds_service.store.store import Store
from cds_service.wearables.links import WearerLink

from .conftest import NOW
from .test_links import EVENT, link


@pytest.fixture
def made(store: Store) -> WearerLink:
    return store.links.add(link(), EVENT)


def test_a_token_is_good_for_the_wearer_of_its_link_and_its_formats(
    store: Store, made: WearerLink
) -> None:
    token = store.wearer_tokens.issue(made, {"health-auto-export", "samples"}, EVENT)

    found = store.wearer_tokens.find(token, NOW)

    assert found is not None
    assert found.link == made
    assert found.formats == ("health-auto-export", "samples")
    assert store.wearer_tokens.find(token + "x", NOW) is None
    assert store.wearer_tokens.find("\ud800", NOW) is None


def test_nothing_of_the_token_is_kept_but_a_digest(
    store: Store, made: WearerLink, rows: Any
) -> None:
    token = store.wearer_tokens.issue(made, ["samples"], EVENT)

    everything = str(rows("SELECT * FROM link_tokens") + rows("SELECT * FROM audit"))
    assert token not in everything and token.removeprefix("cdsw_") not in everything
    assert len(token) > 40


def test_two_tokens_are_unlike_each_other(store: Store, made: WearerLink) -> None:
    tokens = {store.wearer_tokens.issue(made, ["samples"], EVENT) for _ in range(2)}

    assert len(tokens) == 2
    assert len(store.wearer_tokens.of(made)) == 2


def test_a_revoked_token_is_good_for_nothing(store: Store, made: WearerLink) -> None:
    token = store.wearer_tokens.issue(made, ["samples"], EVENT)
    other = store.wearer_tokens.issue(made, ["samples"], EVENT)
    found = store.wearer_tokens.find(token, NOW)
    assert found

    store.wearer_tokens.revoke(found.id, EVENT)

    assert store.wearer_tokens.find(token, NOW) is None
    assert store.wearer_tokens.find(other, NOW)
    with pytest.raises(UnknownToken):
        store.wearer_tokens.revoke(found.id, EVENT)


@pytest.mark.parametrize("id", ["", "%", "0"])
def test_what_names_no_token_or_several_revokes_none(
    store: Store, made: WearerLink, id: str
) -> None:
    token = store.wearer_tokens.issue(made, ["samples"], EVENT)

    with pytest.raises(UnknownToken):
        store.wearer_tokens.revoke(id, EVENT)

    assert store.wearer_tokens.find(token, NOW)


def test_the_day_on_which_it_was_used_last_is_known_and_nothing_closer(
    store: Store, made: WearerLink
) -> None:
    token = store.wearer_tokens.issue(made, ["samples"], EVENT)
    assert store.wearer_tokens.of(made)[0].last_used is None

    store.wearer_tokens.find(token, NOW)
    store.wearer_tokens.find(token, NOW + timedelta(days=1))

    assert store.wearer_tokens.of(made)[0].last_used == date(2026, 11, 23)


def test_the_tokens_of_a_link_that_was_wrong_are_revoked_with_it(
    store: Store, made: WearerLink
) -> None:
    token = store.wearer_tokens.issue(made, ["samples"], EVENT)

    store.links.retract(made.id, EVENT)

    assert store.wearer_tokens.find(token, NOW) is None
    with pytest.raises(UnknownLink):
        store.wearer_tokens.issue(made, ["samples"], EVENT)
