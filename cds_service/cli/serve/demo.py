"""``cds-service demo``: the main job, played once on this machine.

The patient agrees, by a Consent that a signed webhook brings; a watch sends an hour of
heart rate by another, and it is an episode. An EHR opens the chart with a signed token,
once with everything prefetched and once with nothing, so that the server asks the EHR's
FHIR server; the chart is opened anew, and what was just shown is not repeated. The
watch corrects its readings, and the card is gone. All of it is real but the people:
gunicorn, trust on, consent required, the development profile, and a database in a
folder that goes when the demo ends.
"""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_bytes, token_urlsafe
from threading import Event
from typing import Any
from uuid import uuid4

import click
from rich.console import Console

from ...ehr.client import Ehr, ServiceAnswer
from ...ehr.consents import SignedConsent, build_consent, usual_id
from ...ehr.dialects import DIALECTS, SimulatedWearer
from ...ehr.exchange import Unanswered, exchange
from ...ehr.fixture_server import FixtureServer, load_records, serve_records
from ...ehr.fixtures import FixtureCase, load_case
from ...ehr.hook_calls import build_bare, build_prefetched, find_templates
from ...ehr.hours import HourStep, play_hour
from ...ehr.tokens import generate_key
from ...ingestion import CONSENTS, SAMPLES
from ...wearables.consent import ConsentAction
from ...wearables.records import PatientKey
from ..calls.deliveries import OutgoingDelivery, deliver, webhook_url
from ..calls.readings import say_counts
from ..consents.send import ask, said
from ..database import open_store
from ..terminal import build_console, print_answer
from ..wearables.episodes import describe

SHIPPED = Path(__file__).parents[2] / "shipped"
CASE = (SHIPPED / "fixtures/patient-view/fast-hour").resolve()
OTHER_CASE = (SHIPPED / "fixtures/patient-view/fires").resolve()
"""Whose chart tells enough without a watch."""
RULES = (SHIPPED / "rules").resolve()
SERVICE = "wearable-review"
ISSUER = "https://ehr.example.org"
COLLEAGUE = "Practitioner/another"
"""Who has seen nothing yet."""
HALF_A_MINUTE = timedelta(seconds=30)
KEY_ID = "demo-key"


@dataclass(frozen=True, slots=True)
class DemoStage:
    """What the demo plays on."""

    folder: Path
    case: FixtureCase
    ehr: Ehr
    secret: str
    """Of the webhook."""
    fhir: FixtureServer
    fhir_token: str
    settings: Mapping[str, str]
    """Of the server."""


@click.command()
@click.option("--once", is_flag=True, help="Exit after the demo.")
def demo(once: bool) -> None:
    """Start everything on this machine, play the main job once, stay up."""
    console = build_console()
    # In the background of a shell SIGINT is ignored, unless it is asked for.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with set_stage(console) as stage:
            play(stage, console)
            if not once:
                end = listen_for_the_end()
                invite(stage, console)
                wait_for(end)
    except (Unanswered, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def set_stage(console: Console) -> Iterator[DemoStage]:
    """The server and the EHR's FHIR server, running for as long as the block lasts."""
    case = load_case(CASE, datetime.now().astimezone())
    pem, public = generate_key()
    secret = "whsec_" + b64encode(token_bytes(32)).decode()
    fhir_token = token_urlsafe()
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        records = load_records([case.chart])
        fhir = running.enter_context(serve_records(records, token=fhir_token))
        base = f"http://127.0.0.1:{choose_port()}"
        (folder / "ehr-key.pem").write_text(pem)
        clients = folder / "clients.yaml"
        clients.write_text(write_clients(public, fhir.base, secret))
        settings = {
            "CDS_PROFILE": "development",
            "CDS_RULES": str(RULES),
            "CDS_CLIENTS_FILE": str(clients),
            "CDS_DATABASE_URL": f"sqlite:///{folder / 'cds.sqlite'}",
            "CDS_PUBLIC_URL": base,
            "CDS_WEARABLES_CONSENT": "required",
            "CDS_HOST": "127.0.0.1",
            "CDS_PORT": base.rpartition(":")[2],
        }
        console.print(f"Starting the server at {base} (development profile) …")
        log = folder / "server.log"
        running.enter_context(serve_as_child(settings, log, base))
        ehr = Ehr(base, ISSUER, pem, KEY_ID)
        yield DemoStage(folder, case, ehr, secret, fhir, fhir_token, settings)


def play(stage: DemoStage, console: Console) -> None:
    """The main job, once."""
    case, ehr = stage.case, stage.ehr
    console.rule("1. The patient consents; a signed webhook delivers it", align="left")
    agree(stage, console)

    console.rule(
        "2. A watch sends an hour of heart rates; an episode opens", align="left"
    )
    values, corrections = measure(datetime.now().astimezone())
    wear(stage, console, values)

    console.rule("3. An EHR opens the chart and prefetches everything", align="left")
    templates = find_templates(ehr.discover(), SERVICE)
    opening = build_prefetched(case, templates)
    prefetched = ehr.call(SERVICE, opening)
    show(console, prefetched, ehr.base)

    console.rule(
        "4. An EHR prefetches nothing; the server queries its FHIR server", align="left"
    )
    retry = build_bare(case, stage.fhir.base, stage.fhir_token)
    retry["hookInstance"] = opening["hookInstance"]
    show(console, ehr.call(SERVICE, retry), ehr.base, known=prefetched)
    for query in stage.fhir.seen:
        line = f"  The server queried {query}"
        console.print(line, style="dim", markup=False, soft_wrap=True)

    console.rule(
        "5. An EHR opens the chart again; cards already shown are held back",
        align="left",
    )
    show(console, ehr.call(SERVICE, build_prefetched(case, templates)), ehr.base)

    console.rule(
        "6. The watch corrects its readings; the card is retracted", align="left"
    )
    wear(stage, console, corrections)
    colleague = build_prefetched(case, templates)
    colleague["context"]["userId"] = COLLEAGUE
    show(console, ehr.call(SERVICE, colleague), ehr.base)


def measure(now: datetime) -> list[HourStep]:
    """An hour at rest, too fast, until just now; and what its watch says later."""
    # Half a minute ago: while this plays, cards call it as old as they did at first.
    return play_hour("corrected_value", now - HALF_A_MINUTE, minutes=60, seed=1)


def wear(stage: DemoStage, console: Console, step: HourStep) -> None:
    """A signed delivery of the patient's watch, and the episodes after it."""
    wearer = SimulatedWearer(patient=stage.case.request["context"]["patientId"])
    body = json.dumps(DIALECTS[SAMPLES.name](step.readings, wearer))
    url = webhook_url(stage.ehr.base, SAMPLES.path)
    delivery = OutgoingDelivery(str(uuid4()), body, datetime.now(UTC))
    sent = deliver(delivery, url, stage.secret)
    console.print(f"  POST {url} → {sent.status}: {say_counts(sent)}")
    expect(sent.status, 202, sent.content.decode("utf-8", "replace"))
    for line in list_episodes(stage, wearer.patient):
        console.print(f"  {line}", markup=False, soft_wrap=True)


def list_episodes(stage: DemoStage, patient: str) -> list[str]:
    """What `cds-service episodes` prints, those taken back too.

    The patient has agreed to it, and no episode is a second one, so that no rules are
    read for it.
    """
    store = open_store(stage.settings["CDS_DATABASE_URL"])
    try:
        found = store.detections.episodes(
            PatientKey("default", "-", patient), retracted=True
        )
    finally:
        store.close()
    return [describe(each, 0) for each in found]


def agree(stage: DemoStage, console: Console) -> None:
    """The patient lets data of their watch be stored and shown."""
    patient = stage.case.request["context"]["patientId"]
    permits = (ConsentAction.COLLECT, ConsentAction.USE)
    wish = SignedConsent(patient, usual_id(patient), permits)
    url = webhook_url(stage.ehr.base, CONSENTS.path)
    told = ask(build_consent(wish, datetime.now(UTC)), url, stage.secret)
    console.print(f"  POST {url} → 202")
    for line in said(told, wish):
        console.print(f"  {line}", markup=False, soft_wrap=True)


def show(
    console: Console,
    answer: ServiceAnswer,
    base: str,
    known: ServiceAnswer | None = None,
) -> None:
    """One answer of the service; in short if it says what is *known* already."""
    url = f"{base}/cds-services/{SERVICE}"
    console.print(f"  POST {url} → {answer.status}, {answer.milliseconds:.0f} ms")
    expect(answer.status, 200, str(answer.body))
    if known and texts(answer) == texts(known):
        console.print("  The same cards, word for word:")
        for summary, _ in texts(answer):
            console.print(f"  - {summary}", markup=False)
    else:
        print_answer(console, answer)


def texts(answer: ServiceAnswer) -> list[tuple[str, str]]:
    """Return what the cards of an answer say."""
    cards = answer.body["cards"]
    return [(card["summary"], card.get("detail", "")) for card in cards]


def expect(status: int, expected: int, body: str) -> None:
    """Stop the demo where the server did not do its job."""
    if status != expected:
        raise Unanswered(f"expected {expected}, got {status}: {body}")


def write_clients(public_key: dict[str, Any], fhir_base: str, secret: str) -> str:
    """Return the clients file: one EHR and one source of wearable alerts.

    It is JSON, which every YAML reader reads.
    """
    key = {**public_key, "kid": KEY_ID, "alg": "ES384"}
    ehr = {
        "id": "demo-ehr",
        "iss": ISSUER,
        "keys": {"keys": [key]},
        "fhir_servers": [fhir_base],
        "origins": ["http://localhost:3000", "http://127.0.0.1:3000"],
    }
    formats = [CONSENTS.name, SAMPLES.name]
    watch = {"id": "demo-watch", "secrets": [secret], "formats": formats}
    return json.dumps({"format": 1, "clients": [ehr], "webhooks": [watch]})


def invite(stage: DemoStage, console: Console) -> None:
    """What to open or type next."""
    base = stage.ehr.base
    program = as_typed(Path(sys.executable).with_name("cds-service"))
    again = [program, "call", SERVICE, as_typed(OTHER_CASE), "--base", base]
    again += ["--key", str(stage.folder / "ehr-key.pem")]
    again += ["--iss", ISSUER, "--kid", KEY_ID]
    lines = [
        "The server stays up; Ctrl-C stops it. In another terminal:",
        f"  curl {base}/cds-services",
        f"  curl {base}/health/ready",
        f"  {shlex.join(again)}",
        f"  tail -f {stage.folder / 'server.log'}",
    ]
    console.rule("What next", align="left")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def as_typed(path: Path) -> str:
    """Return the path from here, or in full where it does not lie below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def listen_for_the_end() -> Event:
    """Return what is set on Ctrl-C, and when the demo is told to terminate."""
    end = Event()

    def stop(number: int, frame: Any) -> None:
        end.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return end


def wait_for(end: Event) -> None:
    """Return when it is set; signals are heard while this waits."""
    while not end.wait(1):
        pass


# The server as a child process

START = 180
"""Seconds that a start may take on a very busy machine; usual are three."""
USUAL_PORT = 8080
LISTENING = b"Listening at: "
"""What gunicorn logs once the port is its own."""


@contextmanager
def serve_as_child(settings: Mapping[str, str], log: Path, base: str) -> Iterator[None]:
    """`cds-service serve` with *settings*, ready, for as long as the block lasts.

    Raises:
        Unanswered: if it does not come up, with what it said last.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(  # nosec B603 # this program, no shell
            [sys.executable, "-m", "cds_service.cli", "serve"],
            env=child_environment(settings),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, base, log)
        yield
    finally:
        process.terminate()
        process.wait()


def child_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this environment with *settings* in place of all others of the server."""
    others = {name: each for name, each in os.environ.items() if name[:4] != "CDS_"}
    return {**others, **settings}


def choose_port() -> int:
    """``CDS_PORT``; without it the usual port, or a free one where that is taken.

    Raises:
        Unanswered: if the port that was asked for is taken.
    """
    wanted = os.environ.get("CDS_PORT", "")
    if not wanted:
        return _free(USUAL_PORT) or _free(0) or 0
    if not wanted.isdigit() or not _free(int(wanted)):
        raise Unanswered(f"CDS_PORT={wanted} cannot be used; name a free port.")
    return int(wanted)


def _free(port: int) -> int | None:
    """The port if it can be bound; any free one for 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return None
        bound: int = probe.getsockname()[1]
        return bound


def _wait_until_ready(process: subprocess.Popen[bytes], base: str, log: Path) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Unanswered(f"The server did not start:\n{_last_words(log)}")
        # Before that, whoever answers is another server that was quicker.
        if LISTENING in log.read_bytes():
            with suppress(Unanswered):
                if (
                    exchange("GET", f"{base}/health/ready", patience=START).status
                    == 200
                ):
                    return
        time.sleep(0.1)
    raise Unanswered(f"The server was not ready in {START} s:\n{_last_words(log)}")


def _last_words(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return "\n".join(lines[-30:])
