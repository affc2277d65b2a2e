"""The verb that has rules served, without a server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.rulebook.compile.compiler import digest_of
from cds_service.store.store import Store

Revise = Callable[[Path, int], dict[str, str]]


class Desk:
    """A shell with the settings of a server."""

    def __init__(self, folder: Path) -> None:
        self.rules = folder / "rules"
        self.url = f"sqlite:///{folder / 'store.sqlite'}"

    def publish(self, **settings: str) -> Result:
        environ = {
            "CDS_PROFILE": "development",
            "CDS_AUTH": "off",
            "CDS_RULES": str(self.rules),
            "CDS_DATABASE_URL": self.url,
            **settings,
        }
        return CliRunner().invoke(main, ["publish"], env=environ)

    @property
    def served(self) -> Any:
        store = Store.open(self.url)
        newest = store.publications.newest()
        store.close()
        return newest.digest if newest else None


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_good_rules_are_published_and_then_served_already(
    desk: Desk, revise: Revise
) -> None:
    digest = digest_of(revise(desk.rules, 1))

    first, again = desk.publish(), desk.publish()

    assert (first.exit_code, again.exit_code) == (0, 0)
    assert first.stdout == f"published: 1 rule, digest {digest[:12]}\n"
    assert again.stdout == f"served already: 1 rule, digest {digest[:12]}\n"
    assert desk.served == digest


def test_broken_rules_are_refused_and_every_error_is_shown(
    desk: Desk, revise: Revise
) -> None:
    digest = digest_of(revise(desk.rules, 1))
    desk.publish()
    rule = desk.rules / "revised.yaml"
    rule.write_text(rule.read_text().replace("diabetes: present", "diabetes: presnt"))

    refused = desk.publish()

    assert refused.exit_code == 1
    assert "revised.yaml:17:" in refused.stdout and "presnt" in refused.stdout
    assert refused.stdout.splitlines()[-1].startswith("refused: ")
    assert desk.served == digest


def test_a_rule_without_tests_is_refused(desk: Desk, revise: Revise) -> None:
    revise(desk.rules, 1)
    (desk.rules / "revised.test.yaml").unlink()

    refused = desk.publish()

    assert refused.exit_code == 1 and "CDS701" in refused.stdout
    assert desk.served is None


def test_a_folder_that_is_not_there_is_refused(desk: Desk) -> None:
    refused = desk.publish()

    assert refused.exit_code == 1 and "CDS001" in refused.stdout


@pytest.mark.parametrize(
    "settings",
    [{"CDS_DATABASE_URL": "nonsense"}, {"CDS_AUTH": "on"}, {"CDS_PORT": "many"}],
)
def test_what_cannot_run_says_why_in_a_sentence(
    desk: Desk, revise: Revise, settings: dict[str, str]
) -> None:
    revise(desk.rules, 1)

    result = desk.publish(**settings)

    assert result.exit_code == 2
    assert result.stdout == "" and result.stderr.startswith("Error: ")
