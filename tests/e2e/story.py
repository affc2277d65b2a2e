"""All that a server can be told, with a mark on each name, id, token and secret.

A FHIR server tells of the patient and quotes whatever it was sent in every way an error
can; a collector takes the traces.
"""

import base64
import json
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
from sqlalchemy import create_engine, text

from cds_service.ehr.client import Ehr

from ..waiting import PATIENCE, until

Server = Any
Chart = Any
Reply = Any

SERVICE = "/cds-services/wearable-review"
FEEDBACK = f"{SERVICE}/feedback"
ALERTS = "/wearables/v1/alerts"
CONSENTS = "/wearables/v1/consents"
FAULTS = ("good", "quote401", "quote403", "quote500", "page", "leave", "break", "mix")


def mark(kind: str) -> str:
    return f"{kind}qx{uuid4().hex[:16]}"


@dataclass(frozen=True, slots=True)
class Marks:
    """What is looked for afterwards."""

    family: str = field(default_factory=lambda: mark("Family"))
    given: str = field(default_factory=lambda: mark("Given"))
    born: str = field(default_factory=lambda: f"1931-{uuid4().int % 12 + 1:02}-27")
    condition: str = field(default_factory=lambda: mark("Fibrillation"))
    drug: str = field(default_factory=lambda: mark("Drug"))
    device: str = field(default_factory=lambda: mark("Watch"))
    relative: str = field(default_factory=lambda: mark("Relative"))
    user: str = field(default_factory=lambda: mark("user"))
    encounter: str = field(default_factory=lambda: mark("encounter"))
    comment: str = field(default_factory=lambda: mark("comment"))
    reason: str = field(default_factory=lambda: mark("reason"))
    odd: str = field(default_factory=lambda: mark("odd"))
    """Where no patient should be: paths, queries, headers, wrong members."""
    kept: str = field(default_factory=lambda: mark("kept"))
    """What stands in the database, and breaks the code that reads it."""
    token: str = field(default_factory=lambda: mark("token"))
    """Of the FHIR server."""
    stray: str = field(default_factory=lambda: mark("stray"))
    """A token that is none of ours."""


@dataclass(slots=True)
class Story:
    """What was said, and what came of it."""

    server: Server
    chart: Chart
    marks: Marks
    secret: str
    ehr: Ehr
    fhir: str = ""
    traces: "Collector | None" = None
    sent: list[bytes] = field(default_factory=list)
    answers: list[tuple[str, int, bytes]] = field(default_factory=list)
    """Of the server: what was tried, the status, and the answer with its head."""
    printed: list[tuple[str, int, bytes]] = field(default_factory=list)
    """By the command line: the verb, the exit code, and both streams."""

    @property
    def patient(self) -> str:
        """The patient's id."""
        name: str = self.chart.case.name
        return name

    def tell(self, what: str, message: bytes) -> Reply:
        """The answer to bytes on a connection of their own."""
        self.sent.append(message)
        reply = self.server.say(message)
        head = json.dumps(dict(reply.headers)).encode()
        self.answers.append((what, reply.status, head + b"\n" + reply.body))
        return reply

    def post(self, what: str, body: Any, path: str = SERVICE, **headers: str) -> Reply:
        """The answer to a signed message."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {
            "Authorization": f"Bearer {self.token(path)}",
            "traceparent": f"00-{uuid4().hex}-00f067aa0ba902b7-00",
            "tracestate": f"vendor={self.marks.odd}",
            "baggage": f"patient={self.marks.family}",
            **headers,
        }
        return self.tell(what, self.server.head(path, len(raw), **headers) + raw)

    def token(self, path: str = SERVICE) -> str:
        """The EHR's token for one message."""
        return self.ehr.sign(self.ehr.base + path)

    def traced(self) -> bytes:
        """Everything that was sent to the collector of traces."""
        assert self.traces
        return b"\n".join(self.traces.heard)

    def get(self, path: str, **headers: str) -> Reply:
        """The answer to a GET."""
        told = {"Host": "cds.example.org", "Connection": "close", **headers}
        lines = [f"{name.replace('_', '-')}: {each}" for name, each in told.items()]
        message = "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""])
        return self.tell(f"GET {path}", message.encode())

    def request(self, **members: Any) -> dict[str, Any]:
        """A call with marks wherever a person is spoken of."""
        request = self.rename(self.chart.request(**members))
        context = request["context"]
        if isinstance(context, dict):
            context["userId"] = f"Practitioner/{self.marks.user}"
            context["encounterId"] = self.marks.encounter
        return request

    def bare(self, fault: str) -> dict[str, Any]:
        """A call for which the server has to ask the FHIR server."""
        bare = self.chart.bare(f"{self.fhir}/{fault}", self.marks.token)
        return self.rename(bare)

    def rename(self, value: Any) -> Any:
        """The fixture's words, replaced by marks."""
        text = json.dumps(value)
        for old, new in (
            ("Okafor", self.marks.family),
            ("Emil", self.marks.given),
            ("1951-07-02", self.marks.born),
            ("Paroxysmal atrial fibrillation", self.marks.condition),
            ("lisinopril 10 MG Oral Tablet", f"lisinopril {self.marks.drug}"),
            ("Demo Watch 4", self.marks.device),
        ):
            text = text.replace(old, new)
        return json.loads(text)

    def deliver(
        self, what: str, body: Any, delivery: str, path: str = ALERTS, **headers: str
    ) -> Reply:
        """The answer to a delivery that the watch has signed."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        at = time.time()
        signed = {
            "webhook-id": delivery,
            "webhook-timestamp": str(int(at)),
            "webhook-signature": self.server.sign(delivery, at, raw),
            **headers,
        }
        return self.post(what, raw, path, **signed)

    def run(self, verb: str, *arguments: str, **environment: str) -> str:
        """What a verb of the command line prints."""
        self.sent.append(json.dumps([arguments, environment]).encode())
        done = subprocess.run(
            [sys.executable, "-m", "cds_service.cli", *verb.split(), *arguments],
            env={**os.environ, **environment, "CDS_DATABASE_URL": self.server.database},
            capture_output=True,
            timeout=PATIENCE,
        )
        self.printed.append((verb, done.returncode, done.stdout + done.stderr))
        return done.stdout.decode()

    def log(self) -> bytes:
        """Everything that master, workers and watcher wrote."""
        written: bytes = (self.server.folder / "log").read_bytes()
        return written

    def tokens(self) -> set[str]:
        """Every bearer token of every message."""
        return {
            each.decode()
            for message in self.sent
            for each in re.findall(rb"(?i)authorization: \w+ (\S+)", message)
        }

    def secrets(self) -> dict[str, str]:
        """What may stand nowhere at all, the database included."""
        pem = [line for line in self.server.pem.splitlines() if "-" not in line]
        whole = {f"bearer {each[:20]}": each for each in self.tokens()}
        signatures = {
            f"signature of {each[:20]}": each.rpartition(".")[2]
            for each in self.tokens()
            if each.count(".") == 2 and not each.endswith(".")
        }
        return {
            **whole,
            **signatures,
            "FHIR token": self.marks.token,
            "stray token": self.marks.stray,
            "webhook secret": self.secret.removeprefix("whsec_"),
            "its bytes": base64.b64decode(self.secret.removeprefix("whsec_")).decode(),
            "private key": pem[1],
        }

    def personal(self) -> dict[str, str]:
        """What may stand in the database and in what is answered to who asked."""
        names = [each for each in Marks.__slots__ if each not in ("token", "stray")]
        marked = {name: getattr(self.marks, name) for name in names}
        return {**marked, "patient": self.patient}


# The FHIR server


class QuotingServer(ThreadingHTTPServer):
    daemon_threads = True
    story: Story

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.headers: list[bytes] = []
        """Of everything that it was asked."""

    def handle_error(self, *args: object) -> None:
        """A client that goes away is none."""


class QuotingHandler(BaseHTTPRequestHandler):
    """Serves the chart, or quotes whatever it was sent in every way an error can."""

    protocol_version = "HTTP/1.1"
    server: QuotingServer

    def do_GET(self) -> None:
        self.server.headers.append(str(self.headers).encode())
        _, fault, below = self.path.split("/", 2)
        self.quoted = f"{self.headers['Authorization']} asked for {below}"
        getattr(self, f"do_{fault}")(below)

    def do_good(self, below: str) -> None:
        self.reply(200, self.find(below))

    def do_quote401(self, below: str) -> None:
        self.refuse(401, WWW_Authenticate=f'Bearer error="{self.quoted}"')

    def do_quote403(self, below: str) -> None:
        self.refuse(403)

    def do_quote500(self, below: str) -> None:
        self.reply(500, f"<html>{self.quoted}</html>", Content_Type="text/html")

    def do_page(self, below: str) -> None:
        self.reply(200, f"<html>{self.quoted}</html>", Content_Type="text/html")

    def do_leave(self, below: str) -> None:
        token = self.server.story.marks.token
        self.reply(302, "", Location=f"http://127.0.0.1:9/{below}&token={token}")

    def do_break(self, below: str) -> None:
        self.reply(200, self.find(below)[:-9], Content_Length="99999")
        self.close_connection = True

    def do_mix(self, below: str) -> None:
        """A relative's resource, one that cannot be read, and an error among them."""
        story = self.server.story
        if below.startswith("Patient/"):
            return self.reply(200, self.find(below))
        kind = below.partition("?")[0]
        relative = {"reference": f"Patient/{story.marks.relative}"}
        issue = {"severity": "error", "code": "exception", "diagnostics": self.quoted}
        entries = [
            {"resourceType": kind, "id": "r1", "subject": relative},
            {"resourceType": kind, "code": story.marks.condition, "id": [self.quoted]},
            {"resourceType": "OperationOutcome", "issue": [issue]},
        ]
        bundle = {"resourceType": "Bundle", "type": "searchset"}
        bundle["entry"] = [{"resource": each} for each in entries]
        self.reply(200, json.dumps(bundle))

    def find(self, below: str) -> str:
        story = self.server.story
        kind = re.split(r"[/?]", below)[0]
        entries = story.rename(story.chart.case.chart)["entry"]
        found = [each for each in entries if each["resource"]["resourceType"] == kind]
        if kind == "Patient":
            return json.dumps(found[0]["resource"])
        return json.dumps(
            {"resourceType": "Bundle", "type": "searchset", "entry": found}
        )

    def refuse(self, status: int, **headers: str) -> None:
        issue = {"severity": "error", "code": "login", "diagnostics": self.quoted}
        outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
        self.reply(status, json.dumps(outcome), **headers)

    def reply(self, status: int, text: str, **headers: str) -> None:
        body = text.encode()
        self.server.story.sent.append(body)
        usual = {"Content_Type": "application/fhir+json"}
        usual["Content_Length"] = str(len(body))
        self.send_response(status)
        for name, each in {**usual, **headers}.items():
            self.send_header(name.replace("_", "-"), each)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Collector(ThreadingHTTPServer):
    """Where traces are sent."""

    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.heard: list[bytes] = []
        """Heads and bodies."""


class CollectorHandler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard += [str(self.headers).encode(), body]
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def tell_of_consents(story: Story) -> None:
    """Consents, good and bad."""
    marks, odd = story.marks, story.marks.odd
    codes = ("collect", "use", "disclose", odd)
    good = {
        "resourceType": "Consent",
        "id": "consent-1",
        "meta": {"lastUpdated": "2026-11-01T09:00:00Z", "source": f"#{odd}"},
        "status": "active",
        "patient": {"reference": f"Patient/{story.patient}", "display": marks.family},
        "performer": [{"display": marks.relative}],
        "sourceAttachment": {"title": marks.comment},
        "provision": {
            "type": "permit",
            "action": [{"coding": [{"code": each}]} for each in codes],
        },
    }
    told = story.deliver("consent", good, "c-1", CONSENTS)
    assert told.json["results"][0]["permits"] == ["collect", "use", "disclose"]
    assert marks.relative not in str(story.server.rows("select * from consents"))
    wrong = [
        {**good, "id": odd * 9},
        {**good, "meta": {"lastUpdated": odd}},
        {**good, "patient": {"reference": f"https://{odd}/Patient/{story.patient}"}},
        {**good, "status": [odd]},
        {"resourceType": odd},
    ]
    for number, each in enumerate(wrong):
        delivery = f"c-2-{number}"
        reply = story.deliver("wrong consent", each, delivery, CONSENTS)
        assert reply.status == 422
    assert story.post("unsigned consent", good, CONSENTS).status == 401


def tell_of_wearables(story: Story) -> None:
    """Deliveries, good and bad."""
    alert = {**story.rename(story.chart.case.alerts)["alerts"][0], "id": "watch-1"}
    good = {"alerts": [alert]}
    odd = story.marks.odd
    assert story.deliver("delivery", good, "d-1").status == 202
    assert story.deliver("the same again", good, "d-1").status == 202
    other = {"alerts": [{**alert, "rev": 1}]}
    assert story.deliver("another body", other, "d-1").status == 422
    wrong = [
        {**alert, "id": [odd], "type": odd, "start": odd, "value": odd, "rev": odd},
        {**alert, "patient": [alert["patient"]], "status": odd, "device": [odd]},
        {**alert, "id": None, "metric": odd, "unit": odd, "coverage": odd, "end": odd},
        odd,
    ]
    assert story.deliver("wrong alerts", {"alerts": wrong}, "d-2").status == 422
    mixed = {"alerts": [{**alert, "id": "watch-2"}, wrong[0]]}
    assert story.deliver("one of two wrong", mixed, "d-3").status == 202
    assert story.deliver("no list", {"alerts": alert}, "d-4").status == 422
    broken = json.dumps(good).encode()[:-3]
    assert story.deliver("no JSON", broken, "d-5").status == 400
    assert story.post("unsigned", good, ALERTS).status == 401
    forged = {"webhook-id": odd, "webhook-signature": f"v1,{story.marks.stray}"}
    forged["webhook-timestamp"] = str(int(time.time()))
    assert story.post("forged", good, ALERTS, **forged).status == 401
    sources, stray = "/wearables/v1/sources", story.marks.stray
    in_url = story.post("a secret in the URL", good, f"{sources}/garmin/{stray}")
    assert in_url.status == 401
    probe = f"{sources}/nightscout/api/v1/entries"
    assert story.post("an api-secret", good, probe, api_secret=stray).status == 401
    other_type = story.deliver("no JSON type", good, "d-6", Content_Type="text/plain")
    assert other_type.status == 415


def tell_of_charts(story: Story) -> None:
    """Charts that are opened: prefetched, fetched, in part and not at all."""
    assert story.post("prefetched", story.request()).json["cards"]
    assert story.post("fetched", story.bare("good")).status == 200
    assert story.post("fetched in part", story.bare("mix")).status == 200
    for fault in FAULTS[1:-1]:
        assert story.post(f"FHIR: {fault}", story.bare(fault)).status == 412
    elsewhere = story.bare("good")
    elsewhere["fhirServer"] = f"https://{story.marks.odd}.example.org/fhir"
    assert story.post("FHIR elsewhere", elsewhere).status == 412
    lacking = story.request()
    lacking["prefetch"]["conditions"] = failure(story.marks.condition)
    assert story.post("an error prefetched", lacking).status == 412
    somebody = story.request()
    somebody["prefetch"]["patient"]["id"] = story.marks.relative
    assert story.post("another patient", somebody).status == 400
    relatives = story.request()
    for each in relatives["prefetch"]["conditions"]["entry"]:
        each["resource"]["subject"]["reference"] = f"Patient/{story.marks.relative}"
    assert story.post("a relative's conditions", relatives).status == 200
    unreadable = story.request()
    for each in unreadable["prefetch"]["conditions"]["entry"]:
        each["resource"].update(onsetDateTime=story.marks.odd, code=story.marks.odd)
    assert story.post("unreadable conditions", unreadable).status == 200
    shapeless = story.request()
    shapeless["prefetch"]["patient"]["name"] = story.marks.family
    shapeless["prefetch"]["patient"]["birthDate"] = story.marks.odd
    assert story.post("an odd patient", shapeless).status == 200


def failure(words: str) -> dict[str, Any]:
    issue = {"severity": "error", "code": "exception", "diagnostics": words}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def tell_of_nonsense(story: Story) -> None:
    """Messages that are wrong, with somebody's data in them all the same."""
    odd, good = story.marks.odd, story.request()
    raw = json.dumps(good).encode()
    for what, body, status in (
        ("cut off", raw[:-2], 400),
        ("not UTF-8", raw[:-1] + b'"\xff"}', 400),
        ("a number too large", raw[:-1] + b', "n": 1e999}', 400),
        ("twice the same name", raw[:-1] + b', "hook": "b"}', 400),
        ("too large", raw + b" " * 1_100_000, 413),
    ):
        assert story.post(what, body).status == status, what
    for what, members in (
        ("an odd hook", {"hook": odd}),
        ("another hook", {"hook": "order-sign"}),
        ("odd members", {"hookInstance": [odd], "fhirServer": odd, "context": odd}),
        ("an odd token", {"fhirAuthorization": {"access_token": [story.marks.token]}}),
        ("an odd context", {"context": {"userId": odd, "patientId": [odd]}}),
        ("an odd prefetch", {"prefetch": odd}),
    ):
        assert 400 <= story.post(what, {**good, **members}).status < 500, what
    deviating = story.request(hookInstance=odd, extension=odd)
    deviating["context"]["encounterId"] = ""
    story.post("deviations", deviating)
    assert story.post("text", raw, Content_Type=f"text/{odd}").status == 415
    assert story.post("no service", raw, f"/cds-services/{odd}").status == 404
    assert story.post("no path", raw, f"/{odd}/{story.patient}").status == 404
    assert story.get(f"{SERVICE}?patient={story.patient}&x={odd}").status == 405
    marked = {"Referer": odd, "User-Agent": odd, "Origin": f"https://{odd}.org"}
    marked |= {"X-Request-Id": odd, "X-Forwarded-For": odd, "Cookie": odd}
    story.get(f"/health/live?patient={story.patient}", **marked)
    story.tell("no HTTP", f"{odd} {story.patient}\r\n\r\n".encode())
    story.tell("an odd header", f"GET / HTTP/1.1\r\n{odd} : {odd}\r\n\r\n".encode())
    story.tell("an odd version", f"GET /{story.patient} HTTP/{odd}\r\n\r\n".encode())
    head = story.server.head(SERVICE, 10, X_Patient=story.patient)
    story.sent.append(head[:-2])
    with socket.create_connection(("127.0.0.1", story.server.port)) as sender:
        sender.sendall(head[:-2])
        sender.shutdown(socket.SHUT_WR)
        assert sender.recv(1) == b""
    long = f"GET /{odd} HTTP/1.1\r\nHost: a\r\nX: {story.patient * 400}\r\n\r\n"
    story.tell("a long header", long.encode())
    story.tell("a long line", f"GET /{story.patient * 200} HTTP/1.1\r\n\r\n".encode())


def tell_of_strangers(story: Story) -> None:
    """Tokens that are refused, and one that is used twice."""
    raw = json.dumps(story.request()).encode()
    bearer = {"Authorization": f"Bearer {story.token()}"}
    head = story.server.head(SERVICE, len(raw), **bearer)
    assert story.tell("a token", head + raw).status == 200
    assert story.tell("a token again", head + raw).status == 401
    token = story.token(SERVICE)
    now = int(time.time())
    claims = {"iss": story.marks.odd, "sub": story.marks.family, "aud": story.patient}
    forged = jwt.encode({**claims, "iat": now, "exp": now + 60}, "k" * 64, "HS256")
    for what, header in (
        ("a stray token", f"Bearer {story.marks.stray}"),
        (
            "a password",
            f"Basic {base64.b64encode(story.marks.stray.encode()).decode()}",
        ),
        ("a changed token", f"Bearer {token[:-8]}AAAAAAAA"),
        ("half a token", f"Bearer {token[: len(token) // 2]}"),
        ("for elsewhere", f"Bearer {story.token(FEEDBACK)}"),
        ("forged", f"Bearer {forged}"),
    ):
        assert story.post(what, raw, Authorization=header).status == 401, what


def tell_of_feedback(story: Story) -> None:
    """What became of a card, in the clinician's words."""
    marks = story.marks
    shown = story.post("once more", story.request()).json["cards"]
    overridden = {
        "card": shown[0]["uuid"],
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-22T14:05:00Z",
        "overrideReason": {
            "reason": {"code": marks.reason, "system": "https://example.org/r"},
            "userComment": f"{marks.comment} of {marks.family}",
        },
    }
    assert story.post("feedback", {"feedback": [overridden]}, FEEDBACK).status == 200
    unknown = {**overridden, "card": str(uuid4())}
    assert story.post("of no card", {"feedback": [unknown]}, FEEDBACK).status == 200
    wrong = {**overridden, "outcome": marks.comment, "outcomeTimestamp": marks.family}
    wrong["overrideReason"] = {"reason": marks.reason, "userComment": [marks.comment]}
    assert story.post("no feedback", {"feedback": [wrong]}, FEEDBACK).status == 400
    broken = json.dumps({"feedback": [overridden]}).encode()[:-2]
    assert story.post("half feedback", broken, FEEDBACK).status == 400


def tell_on_the_command_line(story: Story, folder: Path) -> None:
    """The verbs that see patients, tokens or the database."""
    case = folder / "case"
    case.mkdir()
    chart, alerts = (
        story.rename(getattr(story.chart.case, name)) for name in ("chart", "alerts")
    )
    bundle, beside = folder / "charts" / "one.json", folder / "alerts.json"
    bundle.parent.mkdir()
    bundle.write_text(json.dumps(chart))
    beside.write_text(json.dumps(alerts))
    broken = folder / "broken.json"
    broken.write_text(json.dumps(chart)[:-5])
    key = folder / "key.pem"
    key.write_text(story.server.pem)
    rules = ("--rules", str(story.server.folder / "rules"))
    rule = "af-irregular-rhythm-no-anticoagulant"
    signed = ("--key", str(key), "--kid", "k", "--iss", "https://ehr.example.org")
    asked = ("--base", story.server.base, "--patient", story.patient)
    fhir = ("--fhir", f"{story.fhir}/good")
    token = {"FHIR_BEARER_TOKEN": story.marks.token}
    story.run("call", "wearable-review", *asked, *fhir, *signed, **token)
    story.run("call", "wearable-review", *asked, *fhir, "--no-prefetch", **token)
    refused = ("--fhir", f"{story.fhir}/quote401")
    story.run("call", "wearable-review", *asked, *refused, *signed, **token)
    to = ("--to", story.server.base, "--patient", story.patient)
    story.run("simulate", *to, CDS_WEBHOOK_SECRET=story.secret)
    story.run(
        "explain", rule, "--patient", str(bundle), "--alerts", str(beside), *rules
    )
    story.run("explain", rule, "--patient", str(broken), *rules)
    story.run("replay", str(bundle.parent), *rules)
    story.run("replay", str(broken), *rules)
    story.run("feedback report")
    story.run("audit verify")


REFUSE = {
    "sqlite": (
        "create trigger no before insert on calls"
        " begin select raise(abort, 'not today'); end",
        "drop trigger no",
    ),
    "postgresql": (
        "create function no() returns trigger language plpgsql"
        " as 'begin raise exception ''not today: %%'', new; end'",
        "create trigger no before insert on calls for each row execute function no()",
        "drop function no cascade",
    ),
}
"""Have the database refuse to record a call; the last has it record again."""


def tell_of_faults(story: Story) -> None:
    """A database that refuses, a row that cannot be read, and rules that are broken."""
    engine = create_engine(story.server.database, isolation_level="AUTOCOMMIT")
    with engine.connect() as database:
        *refuse, record = REFUSE[engine.dialect.name]
        for each in refuse:
            database.exec_driver_sql(each)
        assert story.post("not recorded", story.request()).status == 503
        database.exec_driver_sql(record)
        changed = database.execute(
            text("update wearable_alerts set start = :start where patient_id = :whose"),
            {"start": story.marks.kept, "whose": story.patient},
        )
        assert changed.rowcount
    engine.dispose()
    story.sent.append(story.marks.kept.encode())
    assert story.post("a bug", story.request()).status == 500
    broken = story.server.folder / "rules" / "cardiology" / "broken.yaml"
    broken.write_text("format: 1\nrule: [broken\n")
    until(lambda: b"rulebook refused" in story.log())
    assert story.post("a bug again", story.request()).status == 500
