"""``cds-service consent send``: a Consent to try things out with, sent signed."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import click

from ...ehr.consents import SignedConsent, build_consent, usual_id
from ...fhir.code_systems import canonical_system, normalise_code
from ...fhir.foreign_text import clean
from ...fhir.models import check_resource
from ...ingestion import CONSENTS
from ...wearables.adapters.consents import Unreadable, keep_consent, patient_of
from ...wearables.consent import ConsentAction
from ..calls.deliveries import (
    OutgoingDelivery,
    answer_of,
    deliver,
    read,
    secret_option,
    webhook_url,
)


def read_actions(
    context: click.Context, parameter: click.Parameter, text: str
) -> tuple[ConsentAction, ...]:
    """Return the actions in a list with commas, each once."""
    try:
        named = [ConsentAction(each.strip()) for each in text.split(",")]
    except ValueError as error:
        known = ", ".join(ConsentAction)
        raise click.BadParameter(f"name some of {known}, with commas") from error
    return tuple(dict.fromkeys(named))


def read_codes(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """Return system and code of each ``system|code``."""
    found = []
    for text in texts:
        named, _, code = text.rpartition("|")
        system = canonical_system(named)
        if ":" not in system or not code.strip():
            raise click.BadParameter(f"{text} is not as loinc|8867-4, or URI|code")
        found.append((system, normalise_code(system, code)))
    return tuple(found)


@click.command()
@click.option("--to", "url", metavar="URL", help="The server, or its webhook.")
@click.option(
    "--patient", metavar="ID", required=True, help="The patient's id in the EHR."
)
@secret_option
@click.option(
    "--permit",
    "permits",
    metavar="ACTIONS",
    default="collect,use",
    show_default=True,
    callback=read_actions,
    help="Any of collect, use and disclose, separated by commas.",
)
@click.option(
    "--code",
    "codes",
    metavar="SYSTEM|CODE",
    multiple=True,
    callback=read_codes,
    help="Only for these data, as loinc|8867-4; may be repeated.",
)
@click.option("--until", default="", help="Its last day, or the time at which it ends.")
@click.option("--id", help="The Consent's id; by default derived from the patient.")
@click.option("--withdraw", "withdrawn", is_flag=True, help="Withdraw the Consent.")
@click.option(
    "--dry-run", is_flag=True, help="Print the Consent instead of sending it."
)
def send(
    url: str | None, secret: str | None, id: str | None, dry_run: bool, **wish: Any
) -> None:
    """Make a FHIR R4 Consent of a patient and deliver it, for trying things out.

    Sent again it replaces what was sent before, and with --withdraw it ends that. Not
    for real patients: what they sign belongs into the EHR. Exit code 0: the server
    keeps it; 1: it does not, and says why; 2: usage.
    """
    if not dry_run and not (url and secret):
        raise click.UsageError("--to and --secret are required, or --dry-run.")
    told = SignedConsent(id=id or usual_id(wish["patient"]), **wish)
    resource = build_consent(told, datetime.now(UTC))
    refuse_nonsense(resource)
    if dry_run:
        click.echo(json.dumps(resource, indent=2))
        return
    webhook = webhook_url(url or "", CONSENTS.path)
    for line in said(ask(resource, webhook, secret or ""), told):
        click.echo(line)


def refuse_nonsense(resource: dict[str, Any]) -> None:
    """Return if it can be kept. Raises UsageError."""
    try:
        keep_consent(resource, patient_of(resource, "", "-", "-"), "")
    except Unreadable as error:
        raise click.UsageError(f"--id or --patient: {error}") from error
    problems = check_resource(resource)
    if problems:
        message = "--until is written 2026-12-31, or 2026-12-31T12:00:00Z"
        raise click.UsageError(message)


def ask(resource: dict[str, Any], url: str, secret: str) -> dict[str, Any]:
    """Return what the server says of the Consent.

    Raises:
        click.ClickException: if it does not keep it.
    """
    delivery = OutgoingDelivery(str(uuid4()), json.dumps(resource), datetime.now(UTC))
    reply = deliver(delivery, url, secret)
    results = answer_of(reply).get("results")
    result = results[0] if isinstance(results, list) and len(results) == 1 else None
    if reply.status != 202 or not isinstance(result, dict):
        message = f"{url} answers {reply.status}: {read(reply)}"
        if reply.status == 403:
            message += " (`formats` of a source in the clients file)"
        raise click.ClickException(message)
    if result.get("status") != "accepted":
        message = (
            "the server has a later version of this Consent, which remains in force"
        )
        raise click.ClickException(message)
    return result


def said(result: dict[str, Any], wish: SignedConsent) -> Iterator[str]:
    """Yield the answer in plain words."""
    how = "withdrawn" if wish.withdrawn else "kept"
    yield f"Consent {wish.id} of patient {wish.patient} is {how}."
    listed = result.get("permits")
    named = listed if isinstance(listed, list) else []
    permitted = [str(each) for each in ConsentAction if each in named]
    others = [str(each) for each in ConsentAction if each not in named]
    if permitted:
        other = f"; not {', '.join(others)}" if others else ""
        yield (
            "The patient's Consents now permit, for at least one type of alert: "
            f"{', '.join(permitted)}{other}."
        )
    else:
        yield "The patient's Consents now permit nothing."
    doubts = result.get("doubts")
    for each in doubts if isinstance(doubts, list) else ():
        yield f"  {clean(each)}"
