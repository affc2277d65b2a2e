"""Every card that an example of a shipped rule shows: how it reads, where it leads, and
whether an EHR can file what it suggests."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from markdown_it import MarkdownIt

from cds_service.fhir.models import check_resource
from cds_service.rulebook.cards.cards import BuiltCard, draft_cards
from cds_service.rulebook.cards.shape import (
    BULLET_ROOM,
    SUMMARY_ROOM,
    WORD_ROOM,
    absence_in,
    flaws,
)
from cds_service.rulebook.engine.evaluate import Outcome
from cds_service.rulebook.engine.rows.readings import alert_reference
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.source import parse_yaml
from cds_service.rulebook.load import read_folder
from cds_service.rulebook.testing.example_runner import ExampleRunner
from cds_service.rulebook.testing.examples import Example, example_names, read_examples

pytestmark = pytest.mark.no_cover

RENDERER = MarkdownIt("gfm-like", {"linkify": False})
"""What an EHR does with a detail."""
FILES = read_folder(Path(__file__).parent.parent / "rules")
RUNNER = ExampleRunner(FILES)
NAMES = [*example_names(FILES)]
CALL = {"user": "Practitioner/u1", "encounter": "e1"}


@cache
def rule_of(name: str) -> Mapping[str, Any]:
    """The rule file beside a file of tests, as it is written."""
    file = name.replace(".test.yaml", ".yaml")
    document = parse_yaml(FILES[file], file, Findings())
    assert document is not None
    data: Mapping[str, Any] = document.data
    return data


def shown_by(
    name: str, call: Mapping[str, str | None] = {}
) -> Iterator[tuple[Example, BuiltCard]]:
    """Each example of a file that shows a card, with the card."""
    (file,), _ = read_examples({name: FILES[name]})
    for each in file.examples:
        if each.expect.outcome is Outcome.FIRES and not each.todo:
            evaluations, service = RUNNER.evaluations(each)
            yield each, draft_cards(evaluations, service.service, call)[0]


def cards_in(rule: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What a rule file says of its cards, and of all of them."""
    yield from (rule[key] for key in ("card", "card_defaults") if key in rule)
    yield from rule.get("cards", ())


SERVER_SAYS = re.compile(
    r"none (?:recorded|current|(?:begun|entered|started) in the last \d+ \w+) among \d+"
    r"|no (?:problems|medicines) recorded"
)
"""How the server says that nothing of a set is there."""


@pytest.mark.parametrize("name", NAMES)
def test_a_card_is_read_in_five_seconds(name: str) -> None:
    shown = 0
    for each, built in shown_by(name):
        card = built.card
        assert len(card.summary) <= SUMMARY_ROOM, card.summary
        assert list(flaws(card.detail, card.indicator)) == [], (each.id, card.detail)
        rendered = RENDERER.render(card.detail)
        assert rendered.startswith("<p><strong>"), rendered
        assert rendered.count("<li>") <= BULLET_ROOM
        read = re.sub(r"<table>.*</table>", " ", rendered, flags=re.DOTALL)
        words = re.sub(r"<[^>]+>", " ", read).split()
        assert len(words) <= WORD_ROOM[card.indicator], rendered
        shown += 1
    assert shown


@pytest.mark.parametrize("name", NAMES)
def test_a_card_never_says_none_where_nothing_could_have_been_found(name: str) -> None:
    for each, built in shown_by(name):
        told = f"{built.card.summary}\n{SERVER_SAYS.sub('', built.card.detail)}"

        assert absence_in(told) is None, (each.id, told)
        assert not re.search(r"\b(?:none|unknown|not available)\b", told), (
            each.id,
            told,
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_card_speaks_as_clinicians_do(name: str) -> None:
    for each, built in shown_by(name):
        told = f"{built.card.summary}\n{built.card.detail}"

        for number, unit in re.findall(r"([\d.]+) (\w+) ago", told):
            assert number.isdigit() and unit in ("min", "h", "d"), told
            assert unit != "min" or int(number) <= 90, told
        assert "among 0 " not in told, each.id
        assert "RxNorm" not in told and "import" not in told, each.id
        # Within a sentence neither a problem has a capital, nor does a score break.
        assert not re.search(r"\bin [A-Z][a-z]", told), (each.id, told)
        assert not re.search(r"[A-Z][\w₂]*-[A-Z]", told), (each.id, told)


@pytest.mark.parametrize("name", NAMES)
def test_a_card_that_rests_on_an_alert_names_the_device(name: str) -> None:
    for each, built in shown_by(name):
        alerts = RUNNER.scene(each).case(RUNNER.service(each)).wearables.alerts or ()
        devices = {
            alert.device for alert in alerts if alert_reference(alert) in built.evidence
        }
        named = [device for device in devices if device in built.card.detail]
        assert named or not any(devices), (each.id, built.card.detail)


@pytest.mark.parametrize("name", NAMES)
def test_a_card_leads_to_a_document_that_the_rule_rests_on(name: str) -> None:
    rule = rule_of(name)
    evidence = {each["url"] for each in rule["governance"]["evidence"]}
    linked = [link for card in cards_in(rule) for link in card.get("links", ())]
    # Those to pages of this server lead to no document.
    links = [link["url"] for link in linked if "page" not in link]
    sources = [card["source"]["url"] for card in cards_in(rule) if "source" in card]

    assert links and sources
    assert evidence.issuperset([*links, *sources])
    for url in evidence:
        assert len(urlsplit(url).path.strip("/")) > 5, f"{url} is a home page"


@pytest.mark.parametrize("name", NAMES)
def test_what_a_card_suggests_can_be_filed(name: str) -> None:
    for each, built in shown_by(name, CALL):
        for suggestion in built.card.suggestions:
            for action in suggestion.actions:
                made = action.resource
                assert made is not None and check_resource(made) == []
                who = made["for" if made["resourceType"] == "Task" else "subject"]
                assert who == {"reference": "Patient/example"}
                assert made["encounter"] == {"reference": "Encounter/e1"}
                assert made["requester"] == {"reference": "Practitioner/u1"}
                assert made["authoredOn"] == f"{each.now:%Y-%m-%d}"


@pytest.mark.parametrize("name", NAMES)
def test_suggestions_that_complement_each_other_may_all_be_taken(name: str) -> None:
    for each, built in shown_by(name):
        if len(built.card.suggestions) > 1:
            assert built.card.selection == "any", each.id


BOUNDS = ("above", "at_least", "at_most", "below", "between")
OF_THE_COUNT = ("age", "count", "duration", "local_time")


def fixed_limits(value: Any) -> Iterator[Any]:
    """Every number to which a rule compares a value and that no site can tune."""
    if isinstance(value, list):
        for each in value:
            yield from fixed_limits(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key in OF_THE_COUNT:
                continue
            if key in BOUNDS:
                yield from (
                    bound
                    for bound in (each if isinstance(each, list) else [each])
                    if not str(bound).startswith("$")
                )
            else:
                yield from fixed_limits(each)


@pytest.mark.parametrize("name", NAMES)
def test_a_limit_that_a_site_sets_counts_everywhere(name: str) -> None:
    rule = rule_of(name)
    asked = [rule["when"], *(card["when"] for card in cards_in(rule) if "when" in card)]

    assert [*fixed_limits(asked)] == []
