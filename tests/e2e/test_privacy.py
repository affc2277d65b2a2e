"""Everything is run with marked names, ids, tokens and secrets; then all is searched.

A mark is a text that stands nowhere else, so one that is found has leaked. That each
was sent is shown as well: a mark that went nowhere would prove nothing.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from threading import Thread

import pytest
import requests
from sqlalchemy import MetaData, create_engine, select

from cds_service.ehr.client import Ehr

from ..ports import free_port
from ..waiting import PATIENCE, until
from .story import (
    FAULTS,
    Chart,
    Collector,
    CollectorHandler,
    Marks,
    QuotingHandler,
    QuotingServer,
    Server,
    Story,
    tell_of_charts,
    tell_of_consents,
    tell_of_faults,
    tell_of_feedback,
    tell_of_nonsense,
    tell_of_strangers,
    tell_of_wearables,
    tell_on_the_command_line,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fhir() -> Iterator[QuotingServer]:
    """A FHIR server that listens; whose chart it serves is told later."""
    with QuotingServer(("127.0.0.1", 0), QuotingHandler) as http:
        thread = Thread(target=http.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield http
        http.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """A collector of traces."""
    with Collector(("127.0.0.1", 0), CollectorHandler) as http:
        thread = Thread(target=http.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield http
        http.shutdown()
        thread.join()


# The story


@pytest.fixture(scope="module")
def story(
    start_server: Callable[..., Server],
    open_chart: Callable[[Server], Chart],
    fhir: QuotingServer,
    collector: Collector,
    tmp_path_factory: pytest.TempPathFactory,
) -> Story:
    """All of it, once; the server still runs, so that its journal is there."""
    left_behind = tmp_path_factory.mktemp("left-behind")
    (left_behind / "home").mkdir()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TMPDIR", str(left_behind))
        environment.setenv("HOME", str(left_behind / "home"))
        base, port = f"http://127.0.0.1:{fhir.server_port}", free_port()
        public = f"http://127.0.0.1:{port}"
        server = start_server(
            tuple(f"{base}/{fault}" for fault in FAULTS),
            workers="2",
            log_level="debug",
            port=str(port),
            public_url=public,
            gather_deadline_ms="30000",
            answer_deadline_ms="60000",
            traces_url=f"http://127.0.0.1:{collector.server_port}/v1/traces",
            traces_share="1",
        )
        clients = json.loads((server.folder / "clients.yaml").read_text())
        (secret,) = clients["webhooks"][0]["secrets"]
        ehr = Ehr(public, "https://ehr.example.org", server.pem, "k")
        told = Story(server, open_chart(server), Marks(), secret, ehr, base, collector)
        fhir.story = told
        tell_of_consents(told)
        tell_of_wearables(told)
        tell_of_charts(told)
        tell_of_nonsense(told)
        tell_of_strangers(told)
        tell_of_feedback(told)
        tell_on_the_command_line(told, tmp_path_factory.mktemp("files"))
        tell_of_faults(told)
        for path in (
            "/metrics",
            "/health",
            "/health/live",
            "/health/ready",
            "/openapi.json",
            "/cds-services",
        ):
            for _ in range(4):  # each worker is asked, most likely
                told.get(path)
    return told


# What was found


def found(where: bytes, marks: Mapping[str, str]) -> list[str]:
    """The names of the marks that stand somewhere."""
    return [name for name, each in marks.items() if each.encode() in where]


def test_every_mark_was_sent(story: Story) -> None:
    sent = b"\n".join(story.sent)
    marks = {**story.personal(), "token": story.marks.token, "stray": story.marks.stray}

    assert set(found(sent, marks)) == set(marks)
    assert len(story.tokens()) > 40


def test_s_18_no_log_line_holds_a_person_or_a_token(story: Story) -> None:
    log = story.log()

    for event in (b'"request"', b'"failure":', b"rulebook refused", b"not understood"):
        assert event in log, event
    assert b"[DEBUG]" in log
    assert found(log, {**story.personal(), **story.secrets()}) == []


def test_e_7_no_refusal_holds_a_person_or_a_token(story: Story) -> None:
    refusals = [each for each in story.answers if each[1] >= 400]
    statuses = {status for _, status, _ in refusals}
    assert {400, 401, 404, 405, 412, 413, 415, 422, 431, 500, 503} <= statuses

    for what, _, answer in refusals:
        assert found(answer, {**story.personal(), **story.secrets()}) == [], what


@pytest.mark.parametrize(
    "path", ["/metrics", "/health", "/openapi.json", "/cds-services"]
)
def test_what_is_open_to_all_holds_no_person_and_no_token(
    story: Story, path: str
) -> None:
    told = [each for each in story.answers if each[0] == f"GET {path}"]

    assert len(told) >= 4
    for what, status, answer in told:
        assert status == 200
        assert found(answer, {**story.personal(), **story.secrets()}) == [], what


@pytest.fixture(scope="module")
def desk(story: Story) -> requests.Session:
    """An operator's browser, signed in to the workbench by a link."""
    words = [sys.executable, "-m", "cds_service.cli", "workbench", "login"]
    done = subprocess.run(
        [*words, "--role", "operator"],
        env=story.server.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    (link,) = (each for each in done.stdout.split() if "code=" in each)
    session = requests.Session()
    answer = session.post(
        f"{story.server.base}/workbench/login",
        {"code": link.partition("code=")[2]},
        headers={"Sec-Fetch-Site": "same-origin"},
        timeout=PATIENCE,
    )
    assert answer.url.endswith("/workbench/"), answer.text
    return session


@pytest.mark.parametrize("page", ["operations", "rules", "vendors"])
def test_the_pages_for_who_runs_the_server_hold_no_person_and_no_token(
    story: Story, desk: requests.Session, page: str
) -> None:
    url = f"{story.server.base}/workbench/{page}"
    answer = desk.get(url, timeout=PATIENCE)

    assert answer.status_code == 200 and b"<h1>" in answer.content
    shown = answer.content.replace(b"&#39;", b"'").replace(b"&#34;", b'"')
    assert found(shown, {**story.personal(), **story.secrets()}) == []
    if page == "operations":
        assert b"wearable-review" in shown and b"5 loaded" in shown


def test_c_29_a_card_holds_what_it_must_and_no_name_id_or_token(story: Story) -> None:
    answers = [each for each in story.answers if b'\n{"cards"' in each[2]]
    personal = story.personal()
    allowed = {"condition", "drug", "device"}
    others = {name: personal[name] for name in personal if name not in allowed}
    links = []

    assert any(found(each, {"": story.marks.condition}) for _, _, each in answers)
    for what, status, answer in answers:
        head, _, body = answer.partition(b"\n")
        assert status == 200
        assert found(head, {**personal, **story.secrets()}) == [], what
        assert found(body, story.secrets()) == [], what
        for card in json.loads(body)["cards"]:
            card.pop(
                "suggestions", None
            )  # resources about the patient name the patient
            links += card.get("links", [])
            assert found(json.dumps(card).encode(), others) == [], what
    assert links
    assert found(json.dumps(links).encode(), personal) == []


def test_a_webhook_is_answered_without_the_patient(story: Story) -> None:
    answers = [each for each in story.answers if each[1] == 202]

    assert answers
    for what, _, answer in answers:
        assert found(answer, {**story.personal(), **story.secrets()}) == [], what


def test_no_trace_holds_a_person_or_a_token(story: Story) -> None:
    feedback = b"/cds-services/<service_id>/feedback"
    # They come in portions, seconds after what they tell of.
    for said in (b"record", b"fetch patient", b"wearable-review", feedback):
        until(lambda: said in story.traced(), lambda: said)
    traced = story.traced()

    assert found(traced, {**story.personal(), **story.secrets()}) == []


def test_the_fhir_server_is_told_of_the_trace_and_of_nothing_else(
    story: Story, fhir: QuotingServer
) -> None:
    asked = b"\n".join(fhir.headers).lower()

    assert b"traceparent: 00-" in asked
    assert b"tracestate" not in asked and b"baggage" not in asked


def test_s_18_the_database_holds_the_patient_and_no_token(story: Story) -> None:
    kept = b"\n".join(stored(story.server))

    expected = {"patient", "comment", "user", "device"}
    assert expected <= set(found(kept, story.personal()))
    assert found(kept, story.secrets()) == []


def stored(server: Server) -> Iterator[bytes]:
    """All that the database holds: its files, or every row that it shows."""
    if server.database.startswith("sqlite"):
        files = sorted(server.folder.glob("store.sqlite*"))
        assert "store.sqlite-wal" in [each.name for each in files]
        yield from (each.read_bytes() for each in files)
        return
    engine, known = create_engine(server.database), MetaData()
    with engine.connect() as database:
        known.reflect(database)
        assert len(known.tables) > 10
        for table in known.tables.values():
            yield repr(database.execute(select(table)).all()).encode()
    engine.dispose()


def test_no_other_file_holds_a_person_or_a_token(
    story: Story, tmp_path_factory: pytest.TempPathFactory
) -> None:
    given = {"clients.yaml", "log"}
    left = [
        each
        for folder in (
            story.server.folder,
            *tmp_path_factory.getbasetemp().glob("left-behind*"),
        )
        for each in folder.rglob("*")
        if each.is_file()
        and each.name not in given
        and not each.name.startswith("store.sqlite")
    ]

    for each in left:
        told = each.read_bytes()
        assert found(told, {**story.personal(), **story.secrets()}) == [], each


def test_the_command_line_prints_no_token_and_no_key(story: Story) -> None:
    verbs = {verb for verb, _, _ in story.printed}
    assert verbs >= {"call", "simulate", "explain", "replay", "feedback report"}

    for verb, _, printed in story.printed:
        assert found(printed, story.secrets()) == [], verb
        assert b"Traceback" not in printed, verb


def test_what_is_printed_of_charts_and_feedback_names_nobody(story: Story) -> None:
    """What is meant to be passed on; ``call`` prints cards to who opened the chart."""
    marks = story.personal()
    del marks["reason"]  # a code, which the report counts
    for verb, _, printed in story.printed:
        if verb in ("replay", "feedback report", "audit verify"):
            assert found(printed, marks) == [], verb
        if verb == "explain":
            names = ("family", "given", "born", "condition", "drug")
            assert found(printed, {each: marks[each] for each in names}) == [], verb


def test_the_verbs_did_what_they_were_run_for(story: Story) -> None:
    """Else they had nothing to leak."""
    codes = [(verb, code) for verb, code, _ in story.printed]

    for verb in ("call", "simulate", "explain", "replay", "feedback report"):
        assert (verb, 0) in codes, verb
