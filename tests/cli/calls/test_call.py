"""``cds-service call`` against this server, a hostile one, and one of another make."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import jwt
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from werkzeug.serving import make_server

from cds_service.app import create_app
from cds_service.cli import main
from cds_service.config import load_config
from cds_service.ehr.fixture_server import FixtureServer, load_records, serve_records
from cds_service.ehr.fixtures import load_case
from cds_service.ehr.tokens import generate_key
from cds_service.rulebook.load import check_folder
from cds_service.starting import build_world

from ...waiting import breaks_no_rule

HOME = Path(__file__).parents[3]
CASE = HOME / "fixtures" / "patient-view" / "fires"
CARD = "despite metoprolol"
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def fhir() -> Iterator[FixtureServer]:
    """The EHR's FHIR server; it pages."""
    records = load_records([load_case(CASE, NOW).chart])
    with serve_records(records, page_size=2) as server:
        yield server


@pytest.fixture
def ours(fhir: FixtureServer, tmp_path: Path) -> Iterator[str]:
    """This server, over loopback."""
    config = load_config(
        {
            "CDS_PROFILE": "development",
            "CDS_AUTH": "off",
            "CDS_DATABASE_URL": f"sqlite:///{tmp_path}/cds.sqlite",
            "CDS_FHIR_SERVERS": fhir.base,
            "CDS_GATHER_DEADLINE_MS": "30000",
            "CDS_ANSWER_DEADLINE_MS": "60000",
        }
    )
    world = build_world(config, check_folder(HOME / "rules").rulebook)
    world.store.migrate()
    server = make_server("127.0.0.1", 0, create_app(world=world), threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    world.store.close()
    world.fhir.close()


def run(*words: object, **env: str) -> Result:
    """What the command prints; an exception of its own fails the test."""
    result = CliRunner().invoke(main, ["call", *map(str, words)], env=env)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def summaries(result: Result) -> list[str]:
    cards = json.loads(result.stdout)["answer"]["body"]["cards"]
    return [each["summary"].partition(" (")[0] for each in cards]


Reply = tuple[int, Mapping[str, str], bytes]
OK = {"Content-Type": "application/json", "Cache-Control": "no-store"}


@contextmanager
def vendor(
    discovery: Any, answer: Reply, status: int = 200
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server of another make, and what it was asked."""
    asked: list[dict[str, Any]] = []
    offered = discovery if isinstance(discovery, bytes) else json.dumps(discovery)
    body = offered if isinstance(offered, bytes) else offered.encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            sent = json.loads(raw) if raw else None
            asked.append({"path": self.path, "headers": self.headers, "body": sent})
            found = (status, OK, body) if self.command == "GET" else answer
            self.send_response(found[0])
            for name, value in found[1].items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(found[2])))
            self.end_headers()
            self.wfile.write(found[2])

        do_POST = do_OPTIONS = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def offering(**members: Any) -> dict[str, Any]:
    entry = {
        "hook": "patient-view",
        "title": "Review",
        "description": "Reviews.",
        "id": "review",
        **members,
    }
    return {"services": [entry]}


NONE = (200, OK, b'{"cards": []}')


def test_without_a_service_what_is_offered_is_listed(ours: str) -> None:
    result = run("--base", f"{ours}/")

    assert result.exit_code == 0
    assert "wearable-review  patient-view" in result.stdout
    assert "prefetch: patient, conditions" in result.stdout
    assert breaks_no_rule(result.stdout)


def test_a_fixture_is_played_prefetched_and_not(ours: str) -> None:
    result = run("wearable-review", CASE, "--base", ours)

    assert result.exit_code == 0
    assert "patient-view for fires" in result.stdout
    assert CARD in " ".join(result.stdout.replace("│", " ").split())
    assert breaks_no_rule(result.stdout)


@pytest.mark.parametrize(
    "mode", [["--all-pages"], [], ["--no-prefetch"], ["--partial", "patient"]]
)
def test_every_mode_gives_the_same_card(
    ours: str, fhir: FixtureServer, mode: list[str]
) -> None:
    about = ["--patient", "fires", "--fhir", fhir.base, "--base", ours]

    result = run("wearable-review", *about, *mode, "--json")

    assert result.exit_code == 0
    assert summaries(result) == [
        "Resting heart rate up to 109 /min despite metoprolol: ask about missed doses"
    ]
    # How long it took depends on what else the machine does.
    violations = json.loads(result.stdout)["violations"]
    assert [each for each in violations if each["id"] != "Q-16"] == []


def test_a_call_that_was_saved_plays_again(
    ours: str, fhir: FixtureServer, tmp_path: Path
) -> None:
    folder = tmp_path / "saved"
    about = ["--patient", "fires", "--fhir", fhir.base, "--base", ours]

    saved = run("wearable-review", *about, "--no-prefetch", "--save", folder)
    again = run("wearable-review", *about, "--save", folder)

    assert saved.exit_code == 0
    assert "may hold patient data" in " ".join(saved.stderr.split())
    case = load_case(folder, datetime.now().astimezone())
    assert case.expected["status"] == 200
    assert CARD in case.expected["cards"][0]["summary"]
    assert "prefetch" not in case.request and "fhirServer" not in case.request
    assert len(case.chart["entry"]) == len(load_case(CASE, NOW).chart["entry"])
    assert run("wearable-review", folder, "--base", ours).exit_code == 0
    assert again.exit_code == 2 and "holds something already" in again.stderr


def test_a_chart_that_cannot_be_read_is_said_key_by_key(ours: str) -> None:
    result = run(
        "wearable-review",
        *("--base", ours, "--patient", "1", "--fhir", "http://127.0.0.1:1/fhir"),
    )

    assert result.exit_code == 1
    assert "left out: patient: Nothing answers at" in result.stdout
    assert "Refused with status 412" in result.stdout


def test_a_service_that_is_not_offered_is_called_only_with_a_hook(ours: str) -> None:
    refused = run("other", "--base", ours, "--patient", "1")
    called = run("other", "--base", ours, "--patient", "1", "--hook", "patient-view")

    assert refused.exit_code == 2
    assert "no service other; offered: wearable-review" in refused.stderr
    assert called.exit_code == 1 and "status 404" in called.stdout


def test_a_service_of_1_0_is_judged_by_the_standard() -> None:
    legacy = {
        "cards": [
            {
                "summary": "Stop",
                "indicator": "hard-stop",
                "source": {"label": "Other vendor"},
                "overrideReasons": ["too-costly"],
                "suggestions": [
                    {
                        "label": "Delete it",
                        "actions": [
                            {
                                "type": "delete",
                                "description": "D",
                                "resource": "MedicationRequest/1",
                            }
                        ],
                    }
                ],
            }
        ],
        "systemActions": [{"type": "create", "description": "Makes a task"}],
    }
    answer = (200, {"Content-Type": "application/json"}, json.dumps(legacy).encode())
    with vendor(offering(title="T", name="Old"), answer) as (base, _):
        told = run("review", "--patient", "1", "--base", base)
        by_1_0 = run("review", "--patient", "1", "--base", base, "--spec", "1.0")

    assert told.exit_code == 1
    assert "HARD-STOP" in told.stdout and "too-costly" in told.stdout
    assert "System action: create" in told.stdout
    for found in (
        "must   C-4   $.cards[0].indicator 'hard-stop' is none of",
        "must   C-9   $.cards[0].selectionBehavior is required",
        "must   C-23  $.cards[0].overrideReasons[0] must be a Coding",
        "must   C-19  $.systemActions[0].resource is required",
        "should C-22  $.cards[0].suggestions[0].actions[0].resource",
        "should R-5   $.systemActions",
        "note   R-11  Cache-Control",
        "note   D-8   $.services[0].version",
        "note   X-1   $.services[0].name",
    ):
        assert found in told.stdout, found
    assert "note   C-23" in by_1_0.stdout and "note   C-22" in by_1_0.stdout


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, {"Content-Type": "text/html"}, b"<html>hi</html>"), "HTML or XML"),
        ((200, OK, b'{"cards": ["\xff"]}'), "not UTF-8"),
        ((200, OK, b""), "The body is empty"),
        ((200, OK, b"[" * 100_000), "is not JSON"),
        ((200, OK, b"[" * 500 + b"]" * 500), "nests deeper"),
        ((200, OK, b'{"cards": [1, null, {"source": 3, "links": 4}]}'), "C-5"),
        ((200, OK, b'{"cards": {"a": 1}}'), "must be an array"),
        ((200, OK, b'{"cards": [{"summary": "\\u001b[31mred"}]}'), "\ufffd[31mred"),
        ((200, OK, b'{"cards": [{"summary": "\\ud800"}]}'), "C-4"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "302 leads elsewhere"),
        ((500, {}, b"Traceback (most recent call last):\n"), "shows a stack trace"),
        ((500, OK, b'{"issue": [1, {"details": 2}]}'), "no OperationOutcome"),
        ((204, {}, b""), "answered with 200"),
    ],
)
def test_a_hostile_answer_is_said_in_sentences(answer: Reply, words: str) -> None:
    with vendor(offering(), answer) as (base, _):
        result = run("review", "--patient", "1", "--base", base)
        as_json = run("review", "--patient", "1", "--base", base, "--json")

    assert result.exit_code == as_json.exit_code == 1
    assert words in result.stdout
    assert "\x1b" not in result.stdout
    assert json.loads(as_json.stdout)["violations"]


@pytest.mark.parametrize(
    "discovery", [b"<html>", b"", b"[]", b'{"services": 3}', b'{"services": [3]}']
)
def test_a_hostile_discovery_is_said_in_sentences(discovery: bytes) -> None:
    with vendor(discovery, NONE) as (base, _):
        listed = run("--base", base)
        called = run("review", "--patient", "1", "--base", base)

    assert listed.exit_code == 1 and "must" in listed.stdout
    assert called.exit_code == 2 and "no service review" in called.stderr


def test_a_server_that_is_not_there_is_2() -> None:
    result = run("--base", "http://127.0.0.1:1")

    assert result.exit_code == 2
    assert "Nothing answers at http://127.0.0.1:1/cds-services." in result.stderr


def test_strict_counts_what_a_service_should_do() -> None:
    answer = (500, OK, b"{}")
    with vendor(offering(title=None), NONE) as (base, _):
        assert run("review", "--patient", "1", "--base", base).exit_code == 1
    with vendor(offering(version="R4"), NONE) as (base, _):
        assert run("review", "--patient", "1", "--base", base).exit_code == 0
        assert run("review", "--patient", "1", "--base", base, "--strict").exit_code
    with vendor(offering(), answer) as (base, _):
        assert run("review", "--patient", "1", "--base", base).exit_code == 1


def test_the_token_is_sent_and_never_shown(tmp_path: Path, fhir: FixtureServer) -> None:
    file = tmp_path / "token"
    file.write_text("bearer-of-the-ehr\n")
    offered = offering(prefetch={"patient": "Patient/{{context.patientId}}"})
    echo = {"cards": [], "extension": {"org.example.a": 1}}
    about = ["--patient", "fires", "--fhir", fhir.base, "--bearer-file", file]
    with vendor(offered, (200, OK, json.dumps(echo).encode())) as (base, asked):
        told = run("review", *about, "--base", base)
        as_json = run("review", *about, "--base", base, "--json")
        from_environment = run(
            "review", *about[:4], "--base", base, FHIR_BEARER_TOKEN="other-bearer"
        )

    calls = [each["body"] for each in asked if each["body"]]
    assert calls[0]["fhirServer"] == fhir.base
    assert calls[0]["fhirAuthorization"]["access_token"] == "bearer-of-the-ehr"
    assert calls[2]["fhirAuthorization"]["access_token"] == "other-bearer"
    assert calls[0]["prefetch"]["patient"]["id"] == "fires"
    for result in (told, as_json, from_environment):
        assert result.exit_code == 0
        assert "bearer-of" not in result.output and "other-bearer" not in result.output


def test_what_is_held_back_is_not_sent(tmp_path: Path, fhir: FixtureServer) -> None:
    keys = ("patient", "conditions")
    templates = ("Patient/{{context.patientId}}", "Condition?patient=fires")
    offered = offering(prefetch=dict(zip(keys, templates, strict=True)))
    about = ["--patient", "fires", "--fhir", fhir.base]
    with vendor(offered, NONE) as (base, asked):
        run("review", *about, "--base", base, "--partial", "patient")
        run("review", *about, "--base", base, "--no-prefetch", "--save", tmp_path / "s")
        run("review", *about, "--base", base, "--all-pages")

    partial, none, whole = [each["body"] for each in asked if each["body"]]
    assert list(partial["prefetch"]) == ["patient"]
    assert "prefetch" not in none
    assert partial["fhirServer"] == none["fhirServer"] == fhir.base
    assert list(whole["prefetch"]) == list(keys) and "fhirServer" not in whole


def test_a_call_is_signed_with_either_kind_of_key(tmp_path: Path) -> None:
    elliptic, _ = generate_key()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "ec.pem").write_text(elliptic)
    (tmp_path / "rsa.pem").write_bytes(pem)
    named = ["--kid", "k", "--iss", "https://ehr.example.org", "--tenant", "t"]
    named += ["--jku", "https://ehr.example.org/jwks.json"]
    with vendor(offering(), NONE) as (base, asked):
        for name in ("ec.pem", "rsa.pem"):
            about = ["--patient", "1", "--base", base, "--key", tmp_path / name]
            assert run("review", *about, *named).exit_code == 0
        wrong = run("review", *about, *named, "--alg", "ES384")

    tokens = [each["headers"]["Authorization"].split()[1] for each in asked]
    heads = [jwt.get_unverified_header(each) for each in tokens]
    assert [each["alg"] for each in heads] == ["ES384", "ES384", "RS384", "RS384"]
    assert heads[0]["jku"] == "https://ehr.example.org/jwks.json"
    claims = jwt.decode(
        tokens[3], key.public_key(), ["RS384"], audience=f"{base}{PATH}"
    )
    assert claims["tenant"] == "t"
    assert wrong.exit_code == 2 and "signs RS384" in wrong.stderr


def test_a_key_of_token_key_and_the_clients_file_say_who_signs(tmp_path: Path) -> None:
    key, clients = tmp_path / "dev.pem", tmp_path / "clients.yaml"
    words = ["token", "key", "--kid", "k-7", "--out", str(key)]
    (tmp_path / "k.json").write_text(CliRunner().invoke(main, words).stdout)
    clients.write_text(
        "clients: [{id: e, iss: 'https://e.example', keys_file: k.json}]"
    )
    with vendor(offering(), NONE) as (base, asked):
        about = ["review", "--patient", "1", "--base", base, "--key", key]
        by_option = run(*about, "--clients", clients)
        by_variable = run(*about, CDS_CLIENTS_FILE=str(clients))
        unsaid = run(*about)

    assert (by_option.exit_code, by_variable.exit_code) == (0, 0)
    for token in (each["headers"]["Authorization"].split()[1] for each in asked):
        assert jwt.get_unverified_header(token)["kid"] == "k-7"
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims["iss"] == "https://e.example"
    assert unsaid.exit_code == 2 and "--iss is needed" in unsaid.stderr


PATH = "/cds-services/review"


def test_a_page_s_call_is_preceded_by_a_preflight() -> None:
    with vendor(offering(), NONE) as (base, asked):
        result = run(
            "review",
            *("--patient", "1", "--base", base, "--origin", "https://c.example.org"),
        )

    assert result.exit_code == 0
    assert asked[-1]["headers"]["Access-Control-Request-Method"] == "POST"
    assert "should S-22  Access-Control-Allow-Origin is missing" in result.stdout
    assert "OPTIONS Access-Control-Allow-Headers does not allow" in result.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["review"], "Name a patient"),
        (["review", CASE, "--patient", "1"], "FOLDER is the chart"),
        (["review", CASE, "--save", "x"], "is already a case"),
        (["review", CASE, "--no-prefetch", "--partial", "a"], "exclude each other"),
        (["review", "--patient", "1", "--context", "{"], "--context is not JSON"),
        (["--base", "ftp://x"], "is not an http(s) address"),
    ],
)
def test_what_cannot_be_meant_is_2(words: list[Any], sentence: str) -> None:
    with vendor(offering(), NONE) as (base, _):
        result = run("--base", base, *words)

    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.split())


def test_drafts_of_the_context_fill_the_templates(fhir: FixtureServer) -> None:
    path = "context.draftOrders.entry.resource.ofType(MedicationRequest)"
    prefetch = {"patient": f"Patient/{{{{{path}.subject.resolve().id}}}}"}
    draft = {
        "resourceType": "MedicationRequest",
        "subject": {"reference": "Patient/fires"},
    }
    drafts = {"resourceType": "Bundle", "entry": [{"resource": draft}]}
    offered = offering(hook="order-sign", prefetch=prefetch)
    with vendor(offered, NONE) as (base, asked):
        result = run(
            "review",
            *("--patient", "fires", "--fhir", fhir.base, "--base", base),
            *("--context", json.dumps({"draftOrders": drafts})),
        )

    assert result.exit_code == 0
    assert asked[-1]["body"]["prefetch"]["patient"]["id"] == "fires"
    assert asked[-1]["body"]["context"]["draftOrders"] == drafts
