"""Vendors' clouds on the command line: connect, pull, revoke, and change the key."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit
from urllib.request import urlopen

import pytest

from cds_service.cli.clouds.connect import connect as connect_command
from cds_service.connect.played import PlayedAnswer, PlayedGoogle
from cds_service.store.grants.records import GrantState, SealedTokens
from cds_service.store.records import AuditEvent, CallRecord
from cds_service.store.references.records import (
    NewReference,
    about_reference,
    digest_of,
)
from cds_service.store.sign_in.records import (
    SmartSession,
    about_context,
    about_token,
)
from cds_service.store.store import Store
from cds_service.trust.vault import Vault, parse_vault_keys

from ...connect.played_vendors import HaltingGoogle
from ...waiting import PATIENCE
from .conftest import JANE, NEW_KEY, OLD_KEY, Run

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
COMMAND = [sys.executable, "-m", "cds_service.cli"]


@contextmanager
def started(
    arguments: list[str], environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on; it is ended with the block."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    overdue = threading.Timer(PATIENCE, process.kill)
    overdue.start()
    try:
        yield process
    finally:
        overdue.cancel()
        process.kill()
        process.communicate()


def link_of(process: subprocess.Popen[str]) -> tuple[str, str]:
    """The link that a command prints, and what it said before."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        if line.startswith("http"):
            return line.strip(), said
        said += line
    raise AssertionError(said)


def connected(environment: Mapping[str, str], name: str = "google-fit") -> str:
    """What the command says to somebody who permits it."""
    with started(["connect", name, "--user", "u-7"], environment) as process:
        link, said = link_of(process)
        with urlopen(link) as page:
            assert "It worked." in page.read().decode()
        assert process.stdout is not None
        said += process.stdout.read()
        assert process.wait(PATIENCE) == 0
    return said


def test_a_wearer_who_follows_the_link_is_connected_and_can_be_pulled(
    environment: Mapping[str, str], linked: Store, run: Run, google: PlayedGoogle
) -> None:
    said = connected(environment)

    assert "one of before May 2024 is needed" in said
    assert "Connected to Google Fit (fit): steps" in said
    pulled = run("pull")
    assert pulled.exit_code == 0, pulled.output
    assert pulled.output.count(": 1 new") == 2
    assert len(google.asked) == 2
    shown = run("connect", "list")
    assert shown.output.startswith("fit u-7: active, steps before 2")
    (told,) = json.loads(run("connect", "list", "--json").output)
    assert (told["state"], told["kinds"]) == ("active", ["steps"])


def test_a_wearer_who_does_not_permit_it_is_told_so_and_the_command_fails(
    environment: Mapping[str, str], linked: Store, google: PlayedGoogle
) -> None:
    google.granted = ("https://www.googleapis.com/auth/fitness.sleep.read",)
    with started(["connect", "fit", "--user", "u-7"], environment) as process:
        link, _ = link_of(process)
        with pytest.raises(OSError) as refused:
            urlopen(link)
        refused.value.close()  # type: ignore[attr-defined]
        assert process.stdout is not None
        assert "None of the data read here were permitted." in process.stdout.read()
        assert process.wait(PATIENCE) == 1


def test_a_user_without_link_is_connected_and_not_pulled(
    environment: Mapping[str, str], store: Store, run: Run
) -> None:
    assert "u-7 is not linked to a patient yet" in connected(environment)

    pulled = run("pull")

    assert pulled.exit_code == 1
    assert "fit u-7: no link names this user" in pulled.output


def test_what_fails_is_said_and_the_exit_code_tells(
    environment: Mapping[str, str], linked: Store, run: Run, google: PlayedGoogle
) -> None:
    connected(environment)
    google.bad_days.append(PlayedAnswer(403))

    pulled = run("pull", "--json")

    assert pulled.exit_code == 1
    first = json.loads(pulled.output.splitlines()[0])
    assert (first["kind"], first["problem"]) == ("steps", "HTTP 403")
    assert "steps: HTTP 403" in run("connect", "list").output


def test_what_is_revoked_here_is_revoked_at_the_vendor(
    environment: Mapping[str, str], linked: Store, run: Run, google: PlayedGoogle
) -> None:
    connected(environment)

    done = run("connect", "revoke", "--source", "google-fit", "--user", "u-7")

    assert (done.exit_code, done.output) == (0, "Ended, here and at the vendor.\n")
    assert len(google.revoked) == 1
    assert run("connect", "list").output == "fit u-7: revoked, on request\n"
    again = run("connect", "revoke", "--source", "fit", "--user", "u-7")
    assert again.exit_code == 1


def test_a_patient_who_is_erased_has_permitted_nothing_any_more(
    environment: Mapping[str, str], linked: Store, run: Run, google: PlayedGoogle
) -> None:
    connected(environment)

    done = run("patient", "erase", "--patient", "jane", "--yes")

    assert done.exit_code == 0, done.output
    assert "grants: 1 rows removed" in done.output
    assert len(google.revoked) == 1
    assert list(linked.grants.all()) == []


def test_where_the_vendor_cannot_be_told_of_an_erasure_that_is_said(
    environment: Mapping[str, str], linked: Store, run: Run, google: PlayedGoogle
) -> None:
    connected(environment)

    done = run("patient", "erase", "--patient", "jane", "--yes", CDS_TOKEN_KEY="")

    assert done.exit_code == 0
    assert "fit u-7: not ended at the vendor (CDS_TOKEN_KEY: must be set" in done.output
    assert list(linked.grants.all()) == []


def test_keys_are_changed_one_after_another(
    environment: Mapping[str, str], linked: Store, run: Run
) -> None:
    connected(environment)
    both = f"{NEW_KEY},{OLD_KEY}"

    first = run("key", "rotate", CDS_TOKEN_KEY=both)
    again = run("key", "rotate", CDS_TOKEN_KEY=both)

    assert "1 of 1 grants encrypted anew\n" in first.output
    assert "0 of 1 grants encrypted anew\n" in again.output
    assert run("pull", CDS_TOKEN_KEY=NEW_KEY).exit_code == 0
    lost = run("key", "rotate", CDS_TOKEN_KEY=OLD_KEY)
    assert lost.exit_code == 1
    assert "a token cannot be read" in lost.output


def test_what_cards_refer_to_is_encrypted_anew_as_well(store: Store, run: Run) -> None:
    old, new = (Vault(parse_vault_keys(each)) for each in (OLD_KEY, NEW_KEY))
    now = datetime.now(UTC)
    refers = [
        NewReference(
            digest,
            *("card-1", "why", now + timedelta(hours=hours)),
            old.lock("what was answered", about_reference(digest)),
        )
        for digest, hours in ((digest_of("r"), 8), (digest_of("over"), -1))
    ]
    call = CallRecord(
        *(now, "ehr", "review", "patient-view", "1", JANE, "sha256:0"),
        references=tuple(refers),
    )
    store.record_call(call, AuditEvent(now, "call"))
    told = "1 of 1 references of cards encrypted anew\n"

    done = run("key", "rotate", CDS_TOKEN_KEY=f"{NEW_KEY},{OLD_KEY}")

    assert told in done.output
    found = store.references.resolve("r", JANE, "ehr", None, now)
    assert found and new.unlock(found.sealed, found.about) == "what was answered"
    again = run("key", "rotate", CDS_TOKEN_KEY=NEW_KEY)
    assert told.replace("1 of", "0 of", 1) in again.output


def test_what_sessions_hold_is_encrypted_under_the_new_key_as_well(
    linked: Store, run: Run
) -> None:
    old = Vault(parse_vault_keys(OLD_KEY))
    sealed = SealedTokens(
        old.lock("access", about_token("l1", "access")),
        old.lock("refresh", about_token("l1", "refresh")),
    )
    session = SmartSession(
        *("s1", "l1", "north", "ehr", "https://fhir.example.org", "jane", None, None),
        (),
        *(NOW, NOW, NOW),
        old.lock("{}", about_context("s1")),
    )
    linked.smart_sessions.open(session, "", sealed, AuditEvent(NOW, "sign-in"))

    done = run("key", "rotate", CDS_TOKEN_KEY=f"{NEW_KEY},{OLD_KEY}")

    assert "3 of 3 texts of sessions encrypted anew" in done.output
    new, tokens = Vault(parse_vault_keys(NEW_KEY)), linked.smart_sessions.tokens("l1")
    assert tokens is not None
    assert new.unlock(tokens.sealed.access, about_token("l1", "access")) == "access"
    assert new.unlock(tokens.sealed.refresh, about_token("l1", "refresh")) == "refresh"


def test_a_pull_without_the_key_fails_and_ends_no_grant(
    environment: Mapping[str, str], linked: Store, run: Run
) -> None:
    connected(environment)

    pulled = run("pull", CDS_TOKEN_KEY=NEW_KEY)

    assert pulled.exit_code == 1
    assert "the token cannot be read" in pulled.output
    (grant,) = linked.grants.all()
    assert grant.state is GrantState.ACTIVE


def test_new_keys_are_of_the_right_length_and_unlike_each_other(run: Run) -> None:
    one, other = (run("key", "new").output.strip() for _ in range(2))

    assert one != other
    assert run("connect", "list", CDS_TOKEN_KEY=one).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["connect", "oura", "--user", "u"],
            "no cloud in the clients file has the id or vendor",
        ),
        (["pull", "--every", "5s"], "must be like 15m or 2h, and a minute at least"),
        (["pull", "--once", "--every", "15m"], "exclude each other"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    run: Run, arguments: list[str], text: str
) -> None:
    done = run(*arguments)

    assert done.exit_code in (1, 2) and text in done.output


def test_a_wearer_asks_for_nothing_where_there_is_no_key(run: Run) -> None:
    done = run("connect", "list", CDS_TOKEN_KEY="")

    assert done.exit_code == 1
    assert "CDS_TOKEN_KEY: must be set" in done.output


def test_a_pull_that_goes_on_ends_when_it_is_told_to(
    environment: Mapping[str, str], linked: Store, google: PlayedGoogle
) -> None:
    connected(environment)
    with started(["pull", "--every", "15m"], environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("fit u-7 steps 20")
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(PATIENCE) == 0
    grant = next(linked.grants.all())
    assert linked.pulls.cursors(grant.id)["steps"].until is not None


def test_every_vendor_is_a_verb_of_connect() -> None:
    known = {"google-fit", "google-health", "withings", "oura", "dexcom"}

    assert known <= set(connect_command.commands)


def test_the_played_google_says_where_it_is_and_ends_when_told(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    with started(["play", "google-fit", "--port", "0"], environment) as process:
        assert process.stdout is not None
        base = process.stdout.readline().split()[-1]
        with pytest.raises(OSError) as refused:
            urlopen(f"{base}/o/oauth2/v2/auth?client_id=other")
        with refused.value as answer:  # type: ignore[attr-defined]
            assert b"invalid_client" in answer.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_readings_that_were_pulled_are_the_patients(
    environment: Mapping[str, str], linked: Store, run: Run
) -> None:
    connected(environment)
    run("pull")

    counted = run("samples", "count", "--patient", JANE.patient_id)

    assert "steps" in counted.output and "fit" in counted.output


def test_a_pull_that_was_killed_is_gone_on_with_and_stores_nothing_twice(
    environment: Mapping[str, str], linked: Store, run: Run, google: HaltingGoogle
) -> None:
    connected(environment)
    google.answers = halted = threading.Semaphore(1)
    with started(["pull"], environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline().endswith(": 1 new\n")
        process.kill()
        assert process.wait(PATIENCE) == -signal.SIGKILL
    google.answers = None
    halted.release()

    pulled = run("pull")

    assert pulled.exit_code == 0, pulled.output
    now = datetime.now(UTC)
    found = linked.samples.of(JANE, "steps", now - timedelta(days=9), now)
    starts = [each.sample.start for each in found]
    assert len(starts) == len(set(starts)) == 3  # and a day that is fetched again


def test_in_production_the_wearer_comes_back_to_the_server(
    environment: Mapping[str, str], linked: Store, tmp_path: Path
) -> None:
    clients = Path(environment["CDS_CLIENTS_FILE"])
    text = re.sub(r" simulated: [^}]*", "", clients.read_text())
    clients.write_text(text)
    production = {
        **environment,
        "CDS_PROFILE": "production",
        "CDS_AUTH": "on",
        "CDS_PUBLIC_URL": "https://cds.example.org",
    }
    with started(["connect", "google-fit", "--user", "u-7"], production) as process:
        link, _ = link_of(process)
        told = dict(parse_qsl(urlsplit(link).query))
        assert link.startswith("https://accounts.google.com/o/oauth2/v2/auth?")
        assert told["redirect_uri"] == "https://cds.example.org/connect/callback"
        state = hashlib.sha256(told["state"].encode()).hexdigest()
        linked.grants.settle(state, "It was not permitted.")
        assert process.stdout is not None
        assert "It was not permitted." in process.stdout.read()
        assert process.wait(PATIENCE) == 1
