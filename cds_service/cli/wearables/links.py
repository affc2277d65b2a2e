"""``cds-service link``: whose wrist it is, and the tokens of wearers."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

import click

from ...audit import build_link_event
from ...store.records import AuditEvent, StoreError
from ...store.samples.tokens import WearerToken
from ...store.store import Store
from ...wearables.adapters.registry import FORMATS
from ...wearables.clock import find_zone
from ...wearables.links import WearerLink
from ...wearables.records import PATIENT_ID, PatientKey
from ..database import database_option, open_store, shown
from ..database.patient import operator_option

BY_TOKEN = tuple(FORMATS)
"""Formats that a wearer may deliver."""


@click.group()
def link() -> None:
    """Link a user or a device of a source to a patient, from when to when.

    Readings without a link are held; see `cds-service quarantine`. Each change is in
    the audit trail. Exit code 0: done; 1: it could not be done, and it says why.
    """


class TimeOption(click.ParamType[datetime]):
    """An instant with an offset, or a day, which begins in UTC."""

    name = "TIME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the instant; fail for anything else."""
        if isinstance(value, datetime):
            return value
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                "must be like 2026-11-22 or 2026-11-22T08:05:00-05:00", param, ctx
            )
        return at if at.tzinfo else at.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class LinkDesk:
    """An open database, and who works on it."""

    store: Store
    by: str

    def event(self, tenant: str, patient: PatientKey | None, **told: Any) -> AuditEvent:
        """Return the row of what is done now."""
        return build_link_event(datetime.now(UTC), tenant, self.by, patient, told)


def with_desk(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that gets an open database as ``desk``, and its options."""

    @wraps(command)
    def open_desk(database: str, by: str, **arguments: Any) -> None:
        store = open_store(database)
        try:
            command(desk=LinkDesk(store, f"operator:{by}"), **arguments)
        except StoreError as error:
            raise click.ClickException(f"{shown(database)}: {error}") from error
        finally:
            store.close()

    return database_option(operator_option(open_desk))


def patient_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that gets a patient, as ``patient``, and its options."""

    @wraps(command)
    def with_patient(patient: str, tenant: str, fhir_base: str, **rest: Any) -> None:
        if not PATIENT_ID.fullmatch(patient):
            raise click.UsageError("--patient must be the id of a FHIR Patient.")
        key = PatientKey(tenant, fhir_base.rstrip("/"), patient)
        command(patient=key, **rest)

    wrapped: Callable[..., None] = with_patient
    for option in (
        click.option(
            "--fhir-base",
            default="-",
            show_default=True,
            help="FHIR server that the id belongs to; - if the tenant has only one.",
        ),
        tenant_option,
        click.option("--patient", metavar="ID", required=True, help="The FHIR id."),
    ):
        wrapped = option(wrapped)
    return wrapped


tenant_option = click.option(
    "--tenant", default="default", show_default=True, help="Of whom."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _check_zone(context: click.Context, parameter: click.Parameter, name: str) -> str:
    if name and find_zone(name) is None:
        raise click.BadParameter(f"there is no time zone {name}")
    return name


@link.command()
@with_desk
@patient_options
@click.option("--source", required=True, help="Its name in the clients file.")
@click.option("--user", default="", help="The user's name at the source.")
@click.option("--device", default="", help="The device's name at the source.")
@click.option(
    "--from", "since", type=TimeOption(), help="Start; by default from the beginning."
)
@click.option("--until", type=TimeOption(), help="End; by default none.")
@click.option("--mrn", default="", help="The hospital's number of the patient.")
@click.option("--authority", default="", help="The authority that issued that number.")
@click.option(
    "--time-zone",
    default="",
    callback=_check_zone,
    metavar="ZONE",
    help="The wearer's time zone, if the source does not send it.",
)
@click.option(
    "--grouping",
    type=click.IntRange(1, 1440),
    metavar="MINUTES",
    help="Period over which means are taken, if the source does not send it.",
)
@json_option
def add(
    desk: LinkDesk,
    patient: PatientKey,
    source: str,
    user: str,
    device: str,
    since: datetime | None,
    until: datetime | None,
    mrn: str,
    authority: str,
    time_zone: str,
    grouping: int | None,
    as_json: bool,
) -> None:
    """Link a user, a device, or a user's device of a source to a patient.

    With neither, the link is for tokens alone: of a phone that names nobody.
    """
    if mrn and not authority:
        raise click.UsageError("--mrn requires --authority, which issued the number")
    new = WearerLink(
        source,
        patient,
        since or BEGINNING,
        user=user,
        device=device,
        until=until,
        mrn=mrn,
        authority=authority,
        time_zone=time_zone,
        grouping=timedelta(minutes=grouping) if grouping else None,
    )
    event = desk.event(patient.tenant, patient, added=link_as_json(new))
    made = desk.store.links.add(new, event)
    told = link_as_json(made)
    click.echo(json.dumps(told) if as_json else f"link {made.id}: {describe(made)}")


BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
"""No reading is older."""


@link.command("list")
@with_desk
@tenant_option
@click.option("--source", default="", help="Of one source only.")
@click.option("--patient", default="", metavar="ID", help="Of one patient only.")
@json_option
def list_links(
    desk: LinkDesk, tenant: str, source: str, patient: str, as_json: bool
) -> None:
    """List links, including those that ended or were retracted."""
    for each in desk.store.links.all(tenant, source):
        if patient in ("", each.patient.patient_id):
            told = json.dumps(link_as_json(each))
            click.echo(told if as_json else f"{each.id}: {describe(each)}")


@link.command()
@with_desk
@click.argument("id", type=int)
@click.option("--at", type=TimeOption(), help="When it ended; by default now.")
@click.option("--retract", is_flag=True, help="The link was wrong from the beginning.")
def end(desk: LinkDesk, id: int, at: datetime | None, retract: bool) -> None:
    """End link ID. What was measured after that was not the patient's: it is withdrawn.

    With --retract everything that came by it is, and its tokens are revoked.
    """
    if retract and at:
        raise click.UsageError(
            "--retract withdraws the link from its beginning; do not use --at."
        )
    links, known = desk.store.links, desk.store.links.get(id)
    event = desk.event(known.tenant, known.patient, ended=id, retracted=retract)
    if retract:
        done = links.retract(id, event)
    else:
        done = links.end(id, at or datetime.now(UTC), event)
    what = "retracted" if retract else "ended"
    click.echo(
        f"link {id} {what}: {done.samples} readings and {done.alerts} alerts withdrawn"
    )


@link.command()
@with_desk
@tenant_option
@click.option("--fhir-base", default="-", show_default=True, help="Of both patients.")
@click.argument("old")
@click.argument("new")
def merge(desk: LinkDesk, tenant: str, fhir_base: str, old: str, new: str) -> None:
    """Have all that is kept of patient OLD be NEW's, who turned out to be the same."""
    for each in (old, new):
        if not PATIENT_ID.fullmatch(each):
            raise click.UsageError(f"{each!r} is not the id of a FHIR Patient.")
    if old == new:
        raise click.UsageError("OLD and NEW are the same.")
    before, after = (
        PatientKey(tenant, fhir_base.rstrip("/"), each) for each in (old, new)
    )
    event = desk.event(tenant, after, merged=old)
    desk.store.links.merge(before, after, event)
    click.echo(f"the data of {old} now belong to {new}")


@link.command()
@with_desk
@click.argument("id", type=int)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(BY_TOKEN),
    help="Format that may be delivered with it; may be repeated.",
)
@click.option("--list", "listed", is_flag=True, help="List tokens, and make none.")
@click.option("--revoke", metavar="TOKEN", help="Revoke the token with this id.")
def token(
    desk: LinkDesk, id: int, formats: tuple[str, ...], listed: bool, revoke: str | None
) -> None:
    """Make a token for the wearer of link ID; it is printed once and kept nowhere."""
    known = desk.store.links.get(id)
    tokens = desk.store.wearer_tokens
    if listed:
        for each in tokens.of(known):
            click.echo(_describe_token(each))
    elif revoke:
        if revoke not in {each.id for each in tokens.of(known)}:
            raise click.ClickException(f"link {id} has no token {revoke}")
        tokens.revoke(revoke, desk.event(known.tenant, known.patient, revoked=revoke))
        click.echo(f"token {revoke} revoked")
    elif not formats:
        raise click.UsageError("--format is required: the formats that it may deliver")
    else:
        event = desk.event(known.tenant, known.patient, token_for=id)
        click.echo(tokens.issue(known, formats, event))


def link_as_json(link: WearerLink) -> dict[str, Any]:
    """Return a link as JSON; what it does not say is left out."""
    grouping = link.grouping and link.grouping.total_seconds() / 60
    told = {
        "id": link.id,
        "source": link.source,
        "user": link.user,
        "device": link.device,
        **link.patient._asdict(),
        "since": link.since.isoformat(),
        "until": link.until and link.until.isoformat(),
        "mrn": link.mrn,
        "authority": link.authority,
        "time_zone": link.time_zone,
        "grouping_minutes": grouping,
        "retracted": link.retracted and link.retracted.isoformat(),
    }
    return {name: each for name, each in told.items() if each}


def describe(link: WearerLink) -> str:
    """Return a link in a line."""
    named = [
        f"user {link.user}" if link.user else "",
        f"device {link.device}" if link.device else "",
    ]
    whom = " with ".join(filter(None, named)) or "tokens alone"
    until = f" to {link.until.isoformat()}" if link.until else ""
    back = f", retracted {link.retracted.isoformat()}" if link.retracted else ""
    return (
        f"{link.source}, {whom}: patient {link.patient.patient_id}"
        f" from {link.since.isoformat()}{until}{back}"
    )


def _describe_token(token: WearerToken) -> str:
    used = token.last_used.isoformat() if token.last_used else "never"
    back = f", revoked {token.revoked.isoformat()}" if token.revoked else ""
    return f"{token.id}: {', '.join(token.formats)}, last used {used}{back}"
