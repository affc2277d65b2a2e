"""``cds-service quarantine``: readings of wearers whom no link names yet."""

import json
from typing import Any

import click

from ...exports.consents import Tenancy
from ...fhir.foreign_text import clean
from ...ingestion import Ingestion
from ...ingestion.importing import ImportTotals
from ...ingestion.releasing import release_held
from ...store.detection.records import Detection
from ...store.samples.records import UnknownWearer
from ...wearables.adapters.written import item_as_json
from ..consents import tenancy_options
from .links import LinkDesk, json_option, tenant_option, with_desk


@click.group()
def quarantine() -> None:
    """Show readings of unknown wearers; release or drop them.

    `cds-service link add` says whose they are; `release` then stores them once, after
    checking Consents again. Exit code 0: done; 1: it could not be done, and it says
    why.
    """


def _wearer_options(command: Any) -> Any:
    for option in (
        click.option("--device", help="Its name at the source; by default all."),
        click.option("--user", help="Its name at the source; by default all."),
        click.option("--source", required=True, help="Its name in the clients file."),
    ):
        command = option(command)
    return command


def _held_of(
    desk: LinkDesk, tenant: str, source: str, user: str | None, device: str | None
) -> list[UnknownWearer]:
    """Return the wearers that are meant. Raises ClickException if there is none."""
    held = [each.wearer for each in desk.store.quarantine.wearers(tenant)]
    found = [
        each
        for each in held
        if each.source == source
        and user in (None, each.user)
        and device in (None, each.device)
    ]
    if not found:
        raise click.ClickException(
            "there are no such readings in quarantine; see `quarantine list`"
        )
    return found


@quarantine.command("list")
@with_desk
@tenant_option
@json_option
def list_wearers(desk: LinkDesk, tenant: str, as_json: bool) -> None:
    """List of whom something is held, and how much."""
    for each in desk.store.quarantine.wearers(tenant):
        wearer = each.wearer
        if as_json:
            told = {
                **wearer._asdict(),
                "items": each.items,
                "since": each.since.isoformat(),
                "first": each.first and each.first.isoformat(),
                "last": each.last and each.last.isoformat(),
            }
            click.echo(json.dumps(told))
        else:
            named = (
                f"user {clean(wearer.user) or '-'} device {clean(wearer.device) or '-'}"
            )
            since = f"held since {each.since:%Y-%m-%d %H:%M} UTC"
            click.echo(f"{wearer.source}: {named}: {each.items:,} items, {since}")


@quarantine.command()
@with_desk
@tenant_option
@_wearer_options
@click.option("--most", default=100, show_default=True, type=click.IntRange(1, 1000))
def show(
    desk: LinkDesk,
    tenant: str,
    source: str,
    user: str | None,
    device: str | None,
    most: int,
) -> None:
    """Print what is held of a wearer, as JSON lines, oldest first."""
    for wearer in _held_of(desk, tenant, source, user, device):
        for each in desk.store.quarantine.items(wearer, most=most):
            told = {"format": each.format, "held": each.held.isoformat()}
            click.echo(json.dumps({**told, **item_as_json(each.item)}))


@quarantine.command()
@with_desk
@tenancy_options
@_wearer_options
def release(
    desk: LinkDesk, tenancy: Tenancy, source: str, user: str | None, device: str | None
) -> None:
    """Take in what is held of a wearer, as far as links now say whose it is.

    What no link names at its time, and what no Consent permits to store, stays.
    """
    detection = Detection(tenancy.detectors, tenancy.gate)
    ingestion = Ingestion(
        *(desk.store, (), lambda tenant: tenancy.gate, json.loads),
        detection_of=lambda tenant: detection,
    )
    totals = ImportTotals()
    for wearer in _held_of(desk, tenancy.tenant, source, user, device):
        event = desk.event(tenancy.tenant, None, released=wearer._asdict())
        done = release_held(wearer, tenancy.fhir_base, ingestion, event)
        totals.outcomes.update(done.outcomes)
        totals.left_out.update(done.left_out)
    counts = ", ".join(f"{number:,} {name}" for name, number in totals.outcomes.items())
    stay = totals.left_out.total()
    click.echo(f"{counts or 'nothing released'}; {stay:,} still held")


@quarantine.command()
@with_desk
@tenant_option
@_wearer_options
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(
    desk: LinkDesk,
    tenant: str,
    source: str,
    user: str | None,
    device: str | None,
    yes: bool,
) -> None:
    """Throw away what is held of a wearer."""
    held = _held_of(desk, tenant, source, user, device)
    if not yes:
        whose = "one wearer" if len(held) == 1 else f"{len(held)} wearers"
        click.confirm(f"Of {whose}; this cannot be undone. Go on?", abort=True)
    dropped = 0
    for wearer in held:
        event = desk.event(tenant, None, of=wearer._asdict())
        dropped += desk.store.quarantine.drop(wearer, event)
    click.echo(f"{dropped:,} items dropped")
