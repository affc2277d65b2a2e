"""What a process begins with, and what it does once it only serves."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cds_service.app import Opening, open_rulebook, settle
from cds_service.config import load_config
from cds_service.rulebook.compiler import digest_of
from cds_service.rulebook.load import InvalidRulebook
from cds_service.store.store import Store


@pytest.fixture(autouse=True)
def unsettled() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_is_loaded_is_not_searched_for_garbage_again() -> None:
    kept = [{"loaded": "before the first call"}]

    settle()

    assert not any(each is kept for each in gc.get_objects())
    assert gc.get_freeze_count() > 0
    assert gc.isenabled()


Revise = Callable[[Path, int], dict[str, str]]


class Site:
    """A rules folder, a database and the settings that name them."""

    def __init__(self, folder: Path) -> None:
        self.rules = folder / "rules"
        url = f"sqlite:///{folder / 'store.sqlite'}"
        self.store = Store.open(url)
        self.store.migrate()
        self.settings = {
            "CDS_PROFILE": "development",
            "CDS_AUTH": "off",
            "CDS_RULES": str(self.rules),
            "CDS_DATABASE_URL": url,
        }

    def open(self, holder: str, **settings: str) -> Opening:
        config = load_config({**self.settings, **settings})
        return open_rulebook(config, self.store, holder)

    @property
    def served(self) -> str:
        newest = self.store.publications.newest()
        return newest.digest if newest else ""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.store.close()


def test_a_good_folder_is_published_and_served(site: Site, revise: Revise) -> None:
    digest = digest_of(revise(site.rules, 1))

    opening = site.open("a")

    assert (opening.rulebook.digest, opening.notice) == (digest, "")
    assert site.served == digest


def test_a_broken_folder_with_nothing_published_is_not_served(
    site: Site, revise: Revise
) -> None:
    revise(site.rules, 1)
    (site.rules / "site.yaml").unlink()

    with pytest.raises(InvalidRulebook, match="site.yaml:1:1"):
        site.open("a")


def test_a_broken_folder_leaves_what_was_published_and_says_so(
    site: Site, revise: Revise
) -> None:
    digest = digest_of(revise(site.rules, 1))
    site.open("a")
    (site.rules / "site.yaml").unlink()

    opening = site.open("a")

    assert opening.rulebook.digest == digest
    assert "cannot be served" in opening.notice
    assert "site.yaml:1:1" in opening.notice


def test_while_another_server_publishes_its_rules_are_served(
    site: Site, revise: Revise
) -> None:
    digest = digest_of(revise(site.rules, 1))
    site.open("a")
    revise(site.rules, 2)

    opening = site.open("b")

    assert opening.rulebook.digest == digest == site.served
    assert "another server" in opening.notice


def test_without_a_watcher_the_folder_is_read_at_start(
    site: Site, revise: Revise
) -> None:
    revise(site.rules, 1)
    site.open("a")
    digest = digest_of(revise(site.rules, 2))

    opening = site.open("b", CDS_RELOAD="off")

    assert opening.rulebook.digest == digest == site.served
