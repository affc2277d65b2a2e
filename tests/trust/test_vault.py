"""What is kept encrypted opens with its key, in its place, and nowhere else."""

import base64

import pytest

from cds_service.trust.vault import Unopened, Vault, parse_vault_keys

ONE = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(range(1, 33))).decode()
URL_SAFE = base64.urlsafe_b64encode(bytes([251] * 32)).decode().rstrip("=")
ABOUT = ("grant", "north", "fit", "u-7", "access")


def vault(*keys: str) -> Vault:
    return Vault(parse_vault_keys(",".join(keys)))


def test_what_is_locked_is_unlocked_for_what_it_is_about() -> None:
    locked = vault(ONE).lock("ya29.secret", ABOUT)

    assert vault(ONE).unlock(locked, ABOUT) == "ya29.secret"
    assert "ya29" not in locked


def test_the_same_text_locked_twice_looks_unlike_itself() -> None:
    assert vault(ONE).lock("t", ABOUT) != vault(ONE).lock("t", ABOUT)


@pytest.mark.parametrize(
    "about",
    [
        ("grant", "north", "fit", "u-7", "refresh"),
        ("grant", "north", "fit", "u-8", "access"),
        ("grant", "northfit", "", "u-7", "access"),
    ],
)
def test_a_token_that_was_moved_to_another_row_or_column_does_not_open(
    about: tuple[str, ...],
) -> None:
    locked = vault(ONE).lock("ya29.secret", ABOUT)

    with pytest.raises(Unopened, match="^it was changed, or is about something else$"):
        vault(ONE).unlock(locked, about)


def test_a_token_that_was_changed_does_not_open() -> None:
    locked = vault(ONE).lock("ya29.secret", ABOUT)
    changed = locked[:-6] + ("AAAA" if locked[-6:-2] != "AAAA" else "BBBB") + "=="

    with pytest.raises(Unopened, match="^it was changed, or is about something else$"):
        vault(ONE).unlock(changed, ABOUT)


@pytest.mark.parametrize(
    "told", ["", "A", "not base64!", "AAAA", "\u00e9\u00e9\u00e9\u00e9"]
)
def test_what_was_never_locked_does_not_open(told: str) -> None:
    id = vault(ONE).lock("t", ABOUT).partition(".")[0]

    with pytest.raises(Unopened, match="^it was changed, or is about something else$"):
        vault(ONE).unlock(f"{id}.{told}", ABOUT)


def test_what_was_locked_yesterday_opens_today() -> None:
    locked = "bbd3ad04.cFlP0PREe220UdKirnf81pYrcc9gwl2KzK2SXiTIZjnpVqHYLiP2"

    assert vault(ONE).unlock(locked, ABOUT) == "ya29.secret"


def test_a_token_under_an_older_key_opens_as_long_as_that_is_named() -> None:
    locked = vault(ONE).lock("ya29.secret", ABOUT)

    assert vault(OTHER, ONE).unlock(locked, ABOUT) == "ya29.secret"
    assert not vault(OTHER, ONE).is_newest(locked)
    assert vault(ONE, OTHER).is_newest(locked)
    refused = "^the key that encrypted it is not among those that are set$"
    with pytest.raises(Unopened, match=refused):
        vault(OTHER).unlock(locked, ABOUT)


def test_nothing_is_nothing_and_needs_no_key() -> None:
    assert (vault().lock("", ABOUT), vault().unlock("", ABOUT)) == ("", "")
    assert vault().is_newest("")
    with pytest.raises(Unopened, match="^there is no key$"):
        vault().lock("t", ABOUT)


def test_keys_come_in_either_alphabet_with_blanks_or_commas_between() -> None:
    told = parse_vault_keys(f"{ONE} {OTHER},\n{URL_SAFE}\n")

    assert [len(each.secret) for each in told] == [32, 32, 32]
    assert len({each.id for each in told}) == 3
    assert {len(each.id) for each in told} == {8}


@pytest.mark.parametrize("text", ["abc", ONE[:-8], ONE + "AAAA", "not base64 at all!"])
def test_a_key_of_another_length_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="^must be 32 bytes in base64 each$"):
        parse_vault_keys(text)
