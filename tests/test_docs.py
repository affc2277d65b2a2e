"""The README cannot rot: what it shows is run, what it lists is what there is."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.app import build_world, create_app
from cds_service.cli import VERBS
from cds_service.config import load_config, settings_table
from cds_service.config.entries import (
    ClientEntry,
    ClientsFile,
    KeyServerEntry,
    ProfileEntry,
    QueryEntry,
    ServerEntry,
    WebhookEntry,
)
from cds_service.rulebook.findings import Findings
from cds_service.rulebook.load import load_rulebook
from cds_service.rulebook.source import parse_yaml

HOME = Path(__file__).parents[1]
README = (HOME / "README.md").read_text("utf-8")
SERVER = "http://127.0.0.1:8080"
MODELS = (
    *(ClientEntry, KeyServerEntry, ProfileEntry, QueryEntry),
    *(ServerEntry, WebhookEntry),
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def conversation(block: str) -> tuple[list[str], Any]:
    """The words of the command that a console block shows, and its answer."""
    lines = block.removeprefix("$ ").splitlines()
    for end in range(1, len(lines)):
        try:
            return shlex.split("\n".join(lines[:end])), json.loads(
                "\n".join(lines[end:])
            )
        except ValueError:
            continue
    raise AssertionError(f"neither command nor answer: {block}")


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """The server that the README says to start."""
    folder = tmp_path_factory.mktemp("docs")
    config = load_config(
        {
            "CDS_PROFILE": "development",
            "CDS_AUTH": "off",
            "CDS_DATABASE_URL": f"sqlite:///{folder / 'store.sqlite'}",
        }
    )
    world = build_world(config, load_rulebook(HOME / "rules"))
    world.store.migrate()
    yield create_app(world=world).test_client()
    world.store.close()
    world.fhir.close()


@pytest.mark.parametrize("block", blocks("console"))
def test_every_command_is_answered_as_shown(http: FlaskClient, block: str) -> None:
    (program, url, *options), shown = conversation(block)
    assert program == "curl" and url.startswith(SERVER)
    path = url.removeprefix(SERVER)

    if "-d" in options:
        body = options[options.index("-d") + 1]
        answer = http.post(path, data=body, content_type="application/json")
    else:
        answer = http.get(path)

    assert answer.json == shown


def test_every_endpoint_is_shown(http: FlaskClient) -> None:
    shown = "\n".join(blocks("console")) + README
    for rule in http.application.url_map.iter_rules():
        assert rule.rule.replace("<service_id>", "wearable-review") in shown


def test_the_first_rule_is_served_as_it_stands(tmp_path: Path) -> None:
    first = next(each for each in blocks("yaml") if "\nrule: " in each)
    rules = copytree(HOME / "rules", tmp_path / "rules")
    (rules / "cardiology" / "digoxin-slow-pulse.yaml").write_text(first)

    assert "digoxin-slow-pulse" in load_rulebook(rules).rules


def test_the_clients_file_is_of_the_right_shape() -> None:
    shown = next(each for each in blocks("yaml") if each.startswith("format: 1\nclien"))
    document = parse_yaml(shown, "clients.yaml", Findings())

    assert document is not None
    assert ClientsFile.model_validate(document.data).clients[0].id == "main-ehr"


def test_what_is_shown_of_a_client_alone_is_of_the_right_shape() -> None:
    shown = [each for each in blocks("yaml") if each.startswith("clients:")]

    for each in shown:
        document = parse_yaml(each, "clients.yaml", Findings())
        assert document is not None
        assert ClientsFile.model_validate(document.data).clients[0].queries
    assert shown


def test_every_key_of_the_clients_file_is_explained() -> None:
    start = README.index("The clients file names who may call")
    section = README[start : README.index("### Consent", start)]
    explained = {
        word
        for quoted in re.findall(r"`([^`\n]+)`", section)
        for word in re.findall(r"\w+", quoted)
    }

    for model in MODELS:
        named = {each.alias or name for name, each in model.model_fields.items()}
        assert named <= explained, model.__name__


def test_every_setting_is_listed_with_its_default_and_meaning() -> None:
    listed = re.findall(r"^\| `(CDS_\w+)` \| `?([^`|]*?)`? \| (.*) \|$", README, re.M)

    assert listed == settings_table()


def test_every_variable_that_is_named_exists() -> None:
    known = {name for name, _, _ in settings_table()}

    assert set(re.findall(r"CDS_[A-Z_]+", README)) == known


def test_every_verb_is_listed() -> None:
    listed = re.findall(r"^\| `cds-service (\w+)` \|", README, re.MULTILINE)

    assert sorted(listed) == sorted(VERBS)


@pytest.mark.parametrize(
    "page", ["README.md", "rules/README.md", "fixtures/README.md", "CHANGELOG.md"]
)
def test_every_link_to_a_file_leads_somewhere(page: str) -> None:
    text = (HOME / page).read_text("utf-8")
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
        assert (HOME / page).parent.joinpath(target).exists(), target


def test_every_target_that_is_named_is_in_the_makefile() -> None:
    targets = re.findall(r"^([a-z]+):", (HOME / "Makefile").read_text(), re.MULTILINE)

    named = re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE)
    assert named and set(named) <= set(targets)


def test_the_limits_of_use_are_said() -> None:
    for words in (
        "not\na medical device",
        "not for time-critical alarms",
        "research and demonstration until a site's own clinicians have approved",
    ):
        assert words in README
