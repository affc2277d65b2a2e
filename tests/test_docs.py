"""The pages cannot rot: what they show is run, what they list is what there is."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree
from typing import Any

import click
import pytest
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.cli import VERBS, main
from cds_service.config import ProofKind, WebhookSource, load_clients, load_config
from cds_service.config.clouds import CloudEntry
from cds_service.config.destination_entries import (
    FhirEntry,
    Hl7Entry,
    TlsEntry,
    TokenEntry,
)
from cds_service.config.entries import (
    ClientEntry,
    ClientsFile,
    KeyServerEntry,
    ProfileEntry,
    ProofEntry,
    QueryEntry,
    WebhookEntry,
)
from cds_service.config.fields import ServerEntry
from cds_service.config.smart_apps import SmartEntry
from cds_service.connect.vendors.registry import VENDORS
from cds_service.ingestion import SAMPLES, Ingestion
from cds_service.ingestion.whose import Deliverer
from cds_service.protocol.hooks import HOOKS
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.source import parse_yaml
from cds_service.rulebook.load import check_folder
from cds_service.starting import build_world
from cds_service.store.store import Store
from cds_service.wearables.adapters.alerts import parse_alerts
from cds_service.wearables.adapters.consents import doubts, parse_consents, read_consent
from cds_service.wearables.adapters.registry import FORMATS
from cds_service.wearables.adapters.written import item_as_json
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.samples import REJECTED, SKIPPED

from . import shipped

HOME = Path(__file__).parents[1]
PACKAGE = HOME / "cds_service"
DOCS = [f"docs/{each.name}" for each in sorted((HOME / "docs").glob("*.md"))]
PAGES = ["README.md", "CONTRIBUTING.md", "rules/README.md", *DOCS]
OTHERS = [
    "CHANGELOG.md",
    "SECURITY.md",
    "fixtures/README.md",
    "rules/valuesets/NOTICE.md",
]
TEXT = {page: (HOME / page).read_text("utf-8") for page in PAGES + OTHERS}
ALL = "\n".join(TEXT[page] for page in PAGES)
README, EHR = TEXT["README.md"], TEXT["docs/ehr.md"]
SERVER = "http://127.0.0.1:8080"
MODELS = (
    *(ClientEntry, KeyServerEntry, ProfileEntry, QueryEntry),
    *(ServerEntry, SmartEntry, WebhookEntry),
)
NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)


def blocks(language: str, text: str = ALL) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def prose(page: str) -> str:
    """A page without what stands between fences."""
    return re.sub(r"^```.*?^```$", "", TEXT[page], flags=re.DOTALL | re.MULTILINE)


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
    """The server that the page says to start."""
    folder = tmp_path_factory.mktemp("docs")
    config = load_config(
        {
            "CDS_PROFILE": "development",
            "CDS_AUTH": "off",
            "CDS_DATABASE_URL": f"sqlite:///{folder / 'store.sqlite'}",
        }
    )
    world = build_world(config, shipped.rulebook())
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
    for rule in http.application.url_map.iter_rules():
        shown = rule.rule.replace("<service_id>", "wearable-review")
        assert shown.removesuffix("/<url_secret>") in ALL


def test_the_first_rule_is_served_as_it_stands(tmp_path: Path) -> None:
    first = next(each for each in blocks("yaml", README))
    rules = copytree(HOME / "rules", tmp_path / "rules")
    (rules / "cardiology" / "digoxin-slow-pulse.yaml").write_text(first)

    assert "digoxin-slow-pulse" in check_folder(rules).rulebook.rules


def test_the_clients_file_is_of_the_right_shape() -> None:
    shown = next(each for each in blocks("yaml", EHR) if each[:6] == "format")
    document = parse_yaml(shown, "clients.yaml", Findings())

    assert document is not None
    assert ClientsFile.model_validate(document.data).clients[0].id == "main-ehr"


def test_what_is_shown_of_a_client_alone_is_of_the_right_shape() -> None:
    shown = [each for each in blocks("yaml", EHR) if each[:7] == "clients"]

    for each in shown:
        document = parse_yaml(each, "clients.yaml", Findings())
        assert document is not None
        assert ClientsFile.model_validate(document.data).clients[0].queries
    assert shown


def test_every_key_of_the_clients_file_is_explained() -> None:
    start = EHR.index("## The clients file")
    section = EHR[start : EHR.index("## Browsers", start)]
    explained = {
        word
        for quoted in re.findall(r"`([^`\n]+)`", section)
        for word in re.findall(r"\w+", quoted)
    }

    for model in MODELS:
        named = {each.alias or name for name, each in model.model_fields.items()}
        assert named <= explained, model.__name__


def test_every_key_of_a_destination_is_explained() -> None:
    page = TEXT["docs/operators.md"]
    start = page.index("## What is sent to the hospital")
    section = page[start : page.index("\n## ", start + 1)]
    explained = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", section))))

    for model in (FhirEntry, Hl7Entry, TokenEntry, TlsEntry):
        assert set(model.model_fields) <= explained, model.__name__


def test_the_destinations_that_are_shown_are_of_the_right_shape() -> None:
    (shown,) = (
        each
        for each in blocks("yaml", TEXT["docs/operators.md"])
        if each.startswith("destinations")
    )
    document = parse_yaml(shown, "clients.yaml", Findings())

    assert document is not None
    told = ClientsFile.model_validate(document.data).destinations
    assert [each.kind for each in told] == ["fhir", "hl7"]


def test_every_setting_is_listed_with_its_default_and_meaning(
    settings_table: list[tuple[str, str, str]],
) -> None:
    page = TEXT["docs/operators.md"]
    listed = re.findall(r"^\| `(CDS_\w+)` \| `?([^`|]*?)`? \| (.*) \|$", page, re.M)

    assert listed == settings_table


def test_every_variable_that_is_named_exists(
    settings_table: list[tuple[str, str, str]],
) -> None:
    settings = {name for name, _, _ in settings_table}

    assert settings <= set(re.findall(r"CDS_[A-Z_]+", TEXT["docs/operators.md"]))
    assert set(re.findall(r"CDS_[A-Z_]+", ALL)) == settings | {
        "CDS_SAMPLE_DATA",  # of the tests
        "CDS_WEARER_TOKEN",  # of `simulate`
        "CDS_WEBHOOK_SECRET",  # of `simulate` and `consent send`
    }


def test_every_verb_is_listed() -> None:
    page = TEXT["docs/cli.md"]
    listed = re.findall(r"^\| `cds-service ([\w-]+)` \|", page, re.MULTILINE)

    assert sorted(listed) == sorted(VERBS)


WRITE_REFERENCE = (
    "import sys, tests.cli.reference as page; sys.stdout.write(page.write_reference())"
)


def test_the_page_of_the_command_line_says_what_the_commands_say() -> None:
    # In a process of its own: a command keeps the help option of its first call.
    written = subprocess.run(
        [sys.executable, "-c", WRITE_REFERENCE],
        cwd=HOME,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )

    assert written.stdout == TEXT["docs/cli.md"], "run `make cli-page`"


def commands(text: str) -> Iterator[list[str]]:
    """The words after ``cds-service`` of each command that a page shows or quotes."""
    for block in blocks("sh", text):
        for line in block.replace("\\\n", " ").splitlines():
            for _, shown in re.findall(r"(^|[ (/])cds-service (.*)", line):
                yield shlex.split(re.split(r" [>|] |\)$", shown)[0], comments=True)
    for quoted in re.findall(
        r"`(?:[\w.=/ ]+ )?(?:\.venv/bin/)?cds-service ([^`]+)`", text
    ):
        yield shlex.split(quoted)


def understood(words: list[str]) -> list[str]:
    """The command that *words* call; click refuses an option that there is not."""
    command: click.Command = main
    called = []
    while isinstance(command, click.Group) and words:
        if called and command.invoke_without_command and words[0].startswith("-"):
            break
        called.append(words.pop(0))
        found = command.get_command(click.Context(command), called[-1])
        assert found is not None, called
        command = found
    command.make_parser(click.Context(command)).parse_args(words)
    return called


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_is_shown_is_understood(page: str) -> None:
    for words in commands(TEXT[page]):
        assert understood(words)


@pytest.mark.parametrize("shown", ["chekc rules", "check --lnit", "token mnit"])
def test_a_command_that_there_is_not_is_noticed(shown: str) -> None:
    with pytest.raises((AssertionError, click.UsageError)):
        understood(shown.split())


def test_every_kind_of_block_is_held_by_a_test() -> None:
    held = {
        "README.md": {"sh", "yaml"},
        "CONTRIBUTING.md": {"sh"},
        "rules/README.md": set(),
        "docs/architecture.md": {"text"},
        "docs/authors.md": {"sh", "text", "yaml"},
        "docs/cli.md": {"sh", "text"},
        "docs/clinicians.md": set(),
        "docs/data.md": {"sh"},
        "docs/ehr.md": {"console", "http", "json", "sh", "yaml"},
        "docs/hl7.md": {"hl7", "sh", "yaml"},
        "docs/hospital.md": {"sh"},
        "docs/operators.md": {"console", "sh", "sql", "yaml"},
        "docs/security.md": {""},  # a drawing
        "docs/wearables.md": {"console", "hl7", "json", "jsonl", "sh", "yaml"},
    }

    for page in PAGES:
        shown = re.findall(r"^```(.*)\n(?:(?!```).*\n)*```$", TEXT[page], re.MULTILINE)
        assert set(shown) <= held[page], page


def shown_with(member: str) -> Any:
    """What the page for senders shows that has a member at its top."""
    bodies = map(json.loads, blocks("json", TEXT["docs/wearables.md"]))
    return next(each for each in bodies if member in each)


@pytest.mark.parametrize("format", FORMATS)
def test_of_the_example_of_a_format_is_read_what_is_shown(format: str) -> None:
    _, _, after = TEXT["docs/wearables.md"].partition(f"\n### {format}\n")
    section = after.partition("\n### ")[0]
    known = FORMATS[format]
    kind = known.suffix.removeprefix(".")
    (body,), (lines,) = blocks(kind, section), blocks("jsonl", section)
    sender = WebhookSource("watches", "default", "-", ())
    catalogue = shipped.rulebook().catalogue

    told = (known.parse or json.loads)(body.encode())
    items = known.adapt(told, sender, catalogue)

    assert [item_as_json(each) for each in items] == [
        json.loads(line) for line in lines.splitlines()
    ]


def test_every_format_that_is_read_is_on_the_page() -> None:
    (command,) = [each for each in VERBS if each == "adapt"]
    verb = main.get_command(click.Context(main), command)
    assert verb is not None
    formats = verb.params[0].type.choices  # type: ignore[attr-defined]

    headings = re.findall(r"^### (\S+)$", TEXT["docs/wearables.md"], re.MULTILINE)
    assert sorted(set(headings) & set(formats)) == sorted(formats)


def test_every_reason_for_leaving_something_out_is_on_the_page() -> None:
    page = TEXT["docs/wearables.md"].partition("\n## Formats\n")[2]
    rows = re.findall(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \|", page, re.MULTILINE)
    told = [word for row in rows for word in re.findall(r"`([a-z-]+)`", row)]

    assert told == [*REJECTED, *SKIPPED]


def test_the_alert_that_is_shown_is_accepted() -> None:
    shown = shown_with("alerts")
    sender = WebhookSource("watches", "default", "-", ())
    types = shipped.rulebook().catalogue.alert_types

    (alert,), rejected = parse_alerts(shown, sender, types, NOW)

    assert (alert.id, rejected) == ("a-1", ())


def test_the_readings_that_are_shown_are_answered_as_shown(tmp_path: Path) -> None:
    section = TEXT["docs/wearables.md"].partition("\n## Readings\n")[2]
    sent, answered = map(json.loads, blocks("json", section)[:2])
    source = WebhookSource("vendor", "default", "-", (), ("samples",))
    store = Store.open(f"sqlite:///{tmp_path / 'docs.sqlite'}")
    store.migrate()
    rulebook = check_folder(HOME / "rules").rulebook
    gate = ConsentGate(rulebook.catalogue, assumed=True)
    ingestion = Ingestion(store, (source,), lambda tenant: gate, json.loads)
    judged = SAMPLES.judge(sent, Deliverer(source), ingestion, NOW)
    event = judged.build_event("docs")

    answer = judged.answer(store.take_in(judged.intake, event, NOW))

    assert (answer.status, answer.body) == (202, answered)
    store.close()


def test_the_source_that_is_shown_is_loaded(tmp_path: Path) -> None:
    shown = blocks("yaml", TEXT["docs/wearables.md"])
    file = tmp_path / "clients.yaml"
    file.write_text("\n".join(shown))
    (tmp_path / "fit.secret").write_text("s3cret")
    (tmp_path / "vendor.secrets").write_text("whsec_" + "c2VjcmV0" * 5)
    for name in ("ring", "cgm", "garmin"):
        (tmp_path / f"{name}.secrets").write_text(f"secret-of-{name}-" + "0" * 32)

    loaded = load_clients(file, development=True, lifetime=300)
    source, *others = loaded.webhooks

    assert (source.formats, source.tokens) == (("samples", "open-mhealth"), True)
    assert [each.proof.kind for each in others] == ["hmac-sha256", "nightscout", "path"]
    assert [each.vendor_name for each in loaded.clouds] == ["google-fit"]


def test_all_that_is_said_of_a_cloud_is_on_the_page() -> None:
    page = TEXT["docs/wearables.md"].partition("\n## Fetched from a vendor\n")[2]
    told = "\n".join(re.findall(r"^\| (.*?) \|", page.partition("\n## ")[0], re.M))

    assert all(f"`{each}`" in told for each in CloudEntry.model_fields)
    assert all(f"`{each}`" in page for each in VENDORS)


def test_every_kind_of_proof_is_on_the_page() -> None:
    page = TEXT["docs/wearables.md"].partition("\n### As the vendor signs\n")[2]
    rows = re.findall(
        r"^\| `(?:\{kind: )?([a-z0-9-]+)", page.partition("\n##")[0], re.M
    )

    assert rows[1:] == list(ProofKind)
    assert all(
        f"`{each}`" in page for each in ProofEntry.model_fields if each != "kind"
    )


def test_the_consent_that_is_shown_is_accepted_and_permits_what_it_names() -> None:
    shown = shown_with("provision")
    sender = WebhookSource("watches", "default", "-", ())

    records, rejected = parse_consents(shown, sender, NOW)

    consent = read_consent(records[0], UTC)
    assert (rejected, consent.id, consent.status) == ((), "c-17", "active")
    assert list(doubts(consent)) == []


def test_the_times_that_are_shown_are_those_of_a_stopwatch() -> None:
    (shown,) = blocks("http", EHR)

    assert re.fullmatch(
        r'Server-Timing: (\w+;dur=\d+\.\d(;desc="\w+")?(, |\n))+', shown
    )


def slugs(text: str) -> set[str]:
    """The anchors of a page, as GitHub makes them of its headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def broken_links(page: str, text: str) -> list[str]:
    """Links of a page to a file, or to a place in a page, that is not there."""
    broken = []
    for link in re.findall(r"\]\((?!https?://)([^)\s]+)\)", text):
        name, _, anchor = link.partition("#")
        target = (HOME / page).parent / name if name else HOME / page
        if not target.exists():
            broken.append(link)
        elif anchor and anchor not in slugs(text if not name else target.read_text()):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES + OTHERS)
def test_every_link_leads_somewhere(page: str) -> None:
    assert broken_links(page, TEXT[page]) == []


def test_a_link_that_leads_nowhere_is_noticed() -> None:
    text = "# A b\n[a](#a-b) [b](#b) [c](docs/none.md) [d](docs/ehr.md#nowhere)"

    assert broken_links("README.md", text) == [
        "#b",
        "docs/none.md",
        "docs/ehr.md#nowhere",
    ]


def test_every_page_is_reached_from_the_first() -> None:
    reached, waiting = set(), ["README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        for name in re.findall(r"\]\((?!https?://)([^)#\s]+\.md)", TEXT[page]):
            target = (HOME / page).parent.joinpath(name).resolve()
            found = target.relative_to(HOME).as_posix()
            if found in TEXT and found not in reached:
                waiting.append(found)

    assert set(PAGES) - {"rules/README.md"} <= reached


def test_every_page_that_the_server_names_is_there() -> None:
    for file in PACKAGE.rglob("*"):
        if file.suffix in {".py", ".md", ".json"}:
            for named in re.findall(r"\bdocs/\w+\.md", file.read_text("utf-8")):
                assert (HOME / named).exists(), (file.name, named)


def test_every_test_that_a_page_names_is_there() -> None:
    named = set(re.findall(r"\btests/[\w/]+\.py", ALL))

    assert named
    assert [each for each in sorted(named) if not (HOME / each).exists()] == []


def test_the_first_page_signs_a_call_as_the_page_for_ehrs_does() -> None:
    """Which a test plays: tests/e2e/test_first_call.py."""
    signed = README.partition("## A signed call")[2].partition("\n## ")[0]

    assert len(blocks("sh", signed)) == 2
    for block in blocks("sh", signed):
        assert block in blocks("sh", EHR)


def test_the_first_page_is_short() -> None:
    assert len(README.encode()) <= 6000


def test_the_page_in_the_rules_folder_only_points() -> None:
    """What it would explain stands in docs/authors.md."""
    assert len(TEXT["rules/README.md"].encode()) <= 2500


def too_long(text: str) -> list[str]:
    """Lines of running text over 100 characters that could have been broken.

    Tables and code cannot, nor can a quoted piece of code or a link's address.
    """
    whole = re.compile(r"`[^`]+`|\S")
    return [
        line
        for line in text.splitlines()
        if len(line) > 100
        and not line.startswith(("|", "    "))
        and " " in whole.sub("", line.strip())
    ]


@pytest.mark.parametrize("page", PAGES + OTHERS)
def test_lines_of_the_pages_are_at_most_100_characters(page: str) -> None:
    assert too_long(prose(page)) == []


def test_a_line_that_is_too_long_is_noticed() -> None:
    assert too_long("word " * 25) and not too_long("| " + "word " * 25)
    assert not too_long("`" + "word " * 25 + "`")


def test_every_target_that_is_named_is_in_the_makefile() -> None:
    targets = re.findall(r"^([a-z-]+):", (HOME / "Makefile").read_text(), re.MULTILINE)

    named = re.findall(r"(?:^|`)make ([a-z-]+)", ALL, re.MULTILINE)
    assert named and set(named) <= set(targets)


def test_the_limits_of_use_are_said() -> None:
    for words in (
        "not a medical device",
        "not for time-critical alarms",
        "research and demonstration until a site's own clinicians have approved",
    ):
        assert words in " ".join(README.split())


def test_every_room_is_in_the_picture() -> None:
    picture = blocks("text", TEXT["docs/architecture.md"])[0]
    drawn = set(re.findall(r"^[├└]── (\w+(?:/|\.py))", picture, re.MULTILINE))

    rooms = {
        f"{each.parent.name}/"
        for each in PACKAGE.glob("*/*")
        if each.parent.name[0] != "_"
    }
    modules = {each.name for each in PACKAGE.glob("*.py")} - {"__init__.py"}
    assert drawn == rooms | modules


def test_every_step_and_file_that_the_picture_names_is_there() -> None:
    page = TEXT["docs/architecture.md"]
    code = "\n".join(each.read_text("utf-8") for each in PACKAGE.rglob("*.py"))
    _, call, delivery = blocks("text", page)

    steps = re.findall(r"^ +(?:[A-Z]+ +)?([a-z]+_?[a-z]*)\b", call + delivery, re.M)
    assert len(steps) > 15
    for step in steps:
        assert re.search(rf"def {step}\b", code), step
    files = {f"/{each.relative_to(HOME).as_posix()}" for each in PACKAGE.rglob("*.py")}
    for named in re.findall(r"`((?:\w+/)*\w+\.py)`", page):
        inside = any(each.endswith(f"/{named}") for each in files)
        assert inside or (HOME / named).exists(), named


def test_every_hook_is_listed_for_authors() -> None:
    listed = re.search(r"The hooks are (.*?)\.\n", TEXT["docs/authors.md"], re.DOTALL)

    assert listed is not None
    assert set(re.findall(r"`([a-z-]+)`", listed[1])) == set(HOOKS)


@pytest.mark.slow
def test_the_pages_are_built_as_a_site_in_which_every_link_leads_somewhere() -> None:
    outside = {name: each for name, each in os.environ.items() if name != "MAKEFLAGS"}

    made = subprocess.run(
        ["make", "--no-print-directory", "docs"],
        cwd=HOME,
        env=outside,
        capture_output=True,
        text=True,
    )

    assert made.stderr == ""
    assert made.stdout.splitlines()[-1] == "build/site/index.html"
    start = (HOME / "build" / "site" / "index.html").read_text("utf-8")
    for page in DOCS:
        assert page.replace(".md", ".html") in start
