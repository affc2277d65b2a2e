"""``cds-service consent send`` against a real server on loopback."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.typing import ResponseReturnValue

from cds_service.cli import main
from cds_service.config import ConsentMode, WebhookSource
from cds_service.decision import World
from cds_service.fhir.models import check_resource
from cds_service.wearables.records import PatientKey

SECRET = "whsec_c2VjcmV0LW9mLXRoZS1kZW1vLXdhdGNoLWhlcmU="
OTHER = "whsec_c2VjcmV0LXRoYXQtb25seS1zZW5kcy1hbGVydHM="
USUAL = "trial-55c8b242-3a39-5e5e-93a5-0b779fdb7a3d"
Serve = Callable[[Flask], AbstractContextManager[str]]
P1 = PatientKey("default", "-", "p1")


@pytest.fixture
def world(open_world: Callable[..., World]) -> World:
    """Nothing is assumed; one source may tell of Consents, another may not."""
    app = WebhookSource("app", "default", "-", (SECRET,), ("alerts", "consents"))
    watch = WebhookSource("watch", "default", "-", (OTHER,))
    return open_world(app, watch, consent=ConsentMode.REQUIRED)


def run(*options: str, secret: str = SECRET) -> Result:
    words = ["consent", "send", "--patient", "p1", *options]
    return CliRunner().invoke(main, words, env={"CDS_WEBHOOK_SECRET": secret})


def kept(world: World) -> list[tuple[str, str]]:
    """Id and status of the patient's Consents."""
    found = world.store.consents.of([P1])[P1]
    return [(each.id, each.resource["status"]) for each in found]


def alert_is_stored(url: str) -> bool:
    """Whether the simulator's alert is accepted under what is known."""
    words = ["simulate", "low_heart_rate", "--to", url, "--patient", "p1"]
    return CliRunner().invoke(main, [*words, "--secret", SECRET]).exit_code == 0


def made(*options: str) -> dict[str, Any]:
    """The Consent that is made, without being sent."""
    result = run("--dry-run", *options)
    assert result.exit_code == 0, result.output
    resource: dict[str, Any] = json.loads(result.output)
    return resource


def test_what_is_permitted_by_now_is_said_in_words(world: World, url: str) -> None:
    result = run("--to", url)

    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        f"Consent {USUAL} of patient p1 is kept.",
        "The patient's Consents now permit, for at least one type of alert: "
        "collect, use; not disclose.",
    ]
    assert kept(world) == [(USUAL, "active")]


def test_alerts_are_stored_from_then_on_and_not_after_it_is_withdrawn(
    world: World, url: str
) -> None:
    assert not alert_is_stored(url)
    run("--to", url)
    assert alert_is_stored(url)

    result = run("--to", url, "--withdraw")

    assert result.output.splitlines() == [
        f"Consent {USUAL} of patient p1 is withdrawn.",
        "The patient's Consents now permit nothing.",
    ]
    assert kept(world) == [(USUAL, "inactive")]
    assert not alert_is_stored(url)


def test_a_consent_for_no_data_that_is_known_permits_nothing(
    world: World, url: str
) -> None:
    result = run("--to", url, "--code", "loinc|718-7", "--permit", "disclose,collect")

    assert "The patient's Consents now permit nothing." in result.output


def test_one_of_several_is_withdrawn_by_its_id(world: World, url: str) -> None:
    run("--to", url)
    run("--to", url, "--id", "c2", "--permit", "disclose")

    result = run("--to", url, "--id", "c2", "--withdraw")

    assert kept(world) == [("c2", "inactive"), (USUAL, "active")]
    assert "collect, use; not disclose." in result.output


def test_what_is_made_is_valid_r4_and_says_what_was_asked() -> None:
    resource = made(
        *("--permit", "collect, use,disclose,use", "--until", "2027-01-31"),
        *("--code", "loinc|8867-4", "--code", "http://example.org/x|a|b"),
    )

    assert check_resource(resource) == []
    updated = datetime.fromisoformat(resource["meta"]["lastUpdated"])
    assert datetime.now(UTC) - updated < timedelta(minutes=1)
    provision = resource["provision"]
    actions = [each["coding"][0]["code"] for each in provision["action"]]
    assert actions == ["collect", "use", "disclose"]
    codes = [tuple(each["coding"][0].values()) for each in provision["code"]]
    assert codes == [("http://loinc.org", "8867-4"), ("http://example.org/x|a", "b")]
    assert provision["period"] == {"end": "2027-01-31"}
    assert made()["id"] == USUAL and made("--id", "c-1")["id"] == "c-1"


def test_what_the_server_cannot_judge_is_said(serving: Serve) -> None:
    result = answered(
        serving,
        {
            "id": USUAL,
            "status": "accepted",
            "permits": ["use", "\x1b[2J", {}],
            "doubts": ["$.provision.code cannot be \x1b[2Jjudged here.", None],
        },
    )

    assert result.exit_code == 0, result.output
    assert "type of alert: use; not collect, disclose." in result.output
    assert "  $.provision.code cannot be \ufffd[2Jjudged here.\n" in result.output


def test_a_later_version_that_the_server_knows_is_told(serving: Serve) -> None:
    result = answered(serving, {"id": USUAL, "status": "outdated", "permits": []})

    assert result.exit_code == 1
    assert "the server has a later version of this Consent" in result.output


def answered(serving: Serve, result: dict[str, Any]) -> Result:
    """What is said of a server that answers so."""
    app = Flask(__name__)

    @app.post("/wearables/v1/consents")
    def consents() -> ResponseReturnValue:
        return {"accepted": 1, "rejected": 0, "results": [result]}, 202

    with serving(app) as url:
        return run("--to", url)


def test_a_source_that_may_not_tell_of_consents_learns_what_to_do(
    world: World, url: str
) -> None:
    result = run("--to", url, secret=OTHER)

    assert result.exit_code == 1
    assert "403: This source may not deliver consents." in result.output
    assert "`formats` of a source in the clients file" in result.output
    assert kept(world) == []


def test_who_is_not_recognised_and_who_is_not_there_is_a_sentence(url: str) -> None:
    stranger = run("--to", url, "--secret", "whsec_c2VjcmV0LW9mLW5vYm9keS1hdC1hbGw=")
    nobody = run("--to", "http://127.0.0.1:9")

    assert (stranger.exit_code, nobody.exit_code) == (1, 1)
    assert "answers 401: Authentication is required." in stranger.output
    assert (
        "Nothing answers at http://127.0.0.1:9/wearables/v1/consents." in nobody.output
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--permit", "read"), "name some of collect, use, disclose"),
        (("--permit", ""), "name some of collect, use, disclose"),
        (("--code", "8867-4"), "is not as loinc|8867-4"),
        (("--code", "nonsense|8867-4"), "is not as loinc|8867-4"),
        (("--code", "loinc|"), "is not as loinc|8867-4"),
        (("--until", "2027-02-30"), "--until is written 2026-12-31"),
        (("--until", "2027-01-31T12:00"), "--until is written 2026-12-31"),
        (("--id", "a_b"), "$.id: Required"),
        (("--patient", "a/b"), "$.patient.reference: Must be"),
    ],
)
def test_what_is_not_understood_is_told(
    options: tuple[str, ...], sentence: str
) -> None:
    result = run("--dry-run", *options)

    assert result.exit_code == 2
    assert sentence in result.output


def test_to_send_takes_a_server_and_a_secret() -> None:
    assert run().exit_code == 2
    result = CliRunner().invoke(
        main,
        ["consent", "send", "--patient", "p1", "--to", "http://127.0.0.1:9"],
        env={"CDS_WEBHOOK_SECRET": None},
    )
    assert result.exit_code == 2
    assert "--to and --secret are required, or --dry-run." in result.output
