"""``cds-service connect``: wearers' permission at vendors' clouds."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from ...config import Profile
from ...connect.callback import PATH, Loopback
from ...connect.granting import (
    CONNECTED,
    CloudDesk,
    Invitation,
    Return,
    invite,
    kinds_of,
    take_back,
)
from ...connect.subscribing import Subscribed, disconnect
from ...connect.vendors.registry import VENDORS
from ...store.grants.records import CloudGrant, GrantState
from ...store.store import Store
from ..database.patient import operator_option
from . import OpenSite, named, open_site

NOTHING = "notifications are not set up, or nothing is permitted"
LOOK = 1.0
"""Seconds between two looks whether the wearer has come back to the server."""


class _Clouds(click.Group):
    """A verb for each vendor; any other name is that of a source."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a verb, a vendor or a source."""
        known = super().get_command(ctx, cmd_name)
        return known or _asking(cmd_name, "the source of that name")


@click.group(cls=_Clouds)
def connect() -> None:
    """Ask wearers for permission at vendors' clouds; list and revoke what they gave.

    After `connect` stands a vendor, or the id of a cloud of the clients file where the
    site has several of one vendor. The settings are those of the server. Exit code 0:
    done; 1: it was not permitted, or could not be done, and it says why.
    """


def _asking(name: str, title: str) -> click.Command:
    """The command that asks a wearer for permission at one vendor, or by one source."""

    @click.command(
        name=name,
        help=f"Ask a wearer for permission at {title}; print the link, and wait.",
    )
    @click.option("--user", required=True, help="The wearer, by the name in the links.")
    @operator_option
    def ask(user: str, by: str) -> None:
        with open_site() as site:
            _connect(site, site.desk(name), user, f"operator:{by}")

    return ask


for _vendor in VENDORS.values():
    connect.add_command(_asking(_vendor.name, _vendor.title))


def _connect(site: OpenSite, desk: CloudDesk, user: str, by: str) -> None:
    if not desk.links(user):
        click.echo(
            f"{user} is not linked to a patient yet; until then, nothing is fetched."
        )
    if note := desk.cloud.vendor.note:
        click.echo(note)
    if site.config.profile is Profile.DEVELOPMENT:
        done = _here(desk, user, by)
    else:
        done = _at_the_server(desk, user, by, f"{site.config.public_url}{PATH}")
    if done is None:
        raise click.ClickException(
            "The wearer did not finish in time; ask for another link."
        )
    if done.text != CONNECTED:
        raise click.ClickException(done.text)
    grant = desk.store.grants.find(desk.cloud.tenant, desk.cloud.id, user)
    if grant is not None:
        _tell(desk, grant)
        notified = site.subscriber.of_grant(desk, grant)
        if notified is not None:
            click.echo(_subscribed(notified))


def _here(desk: CloudDesk, user: str, by: str) -> Return | None:
    """In development the wearer comes back to a page on this machine."""
    page = Loopback()
    try:
        asked = invite(desk, user, page.url, by, _now())
        page.listen(lambda told: take_back([desk], told, _now(), asked.state))
        _show(asked)
        while (left := (asked.until - _now()).total_seconds()) > 0:
            done = page.wait(left)
            # Who comes with another link is told so, and this one waits on.
            if done is not None and desk.store.grants.outcome(asked.state):
                return done
        return None
    finally:
        page.close()


def _at_the_server(desk: CloudDesk, user: str, by: str, url: str) -> Return | None:
    """In production the wearer comes back to the server, which notes what came."""
    asked = invite(desk, user, url, by, _now())
    _show(asked)
    while _now() < asked.until:
        told = desk.store.grants.outcome(asked.state)
        if told:
            return Return(told)
        time.sleep(LOOK)
    return None


def _show(asked: Invitation) -> None:
    until = asked.until.astimezone().strftime("%H:%M")
    click.echo(f"Ask the wearer to open this link; it works once, until {until}:")
    click.echo(f"\n{asked.link}\n")


def _tell(desk: CloudDesk, grant: CloudGrant) -> None:
    permitted = [each.name for each in kinds_of(grant, desk.cloud)]
    missing = [each.name for each in desk.cloud.kinds if each.name not in permitted]
    click.echo(f"Connected to {named(desk.cloud)}: {', '.join(permitted)}")
    if missing:
        click.echo(f"Not permitted, and not fetched: {', '.join(missing)}")


def _subscribed(done: Subscribed) -> str:
    if done.problem:
        later = "each pull tries again"
        return f"Notifications could not all be subscribed: {done.problem}; {later}"
    return f"{done.told[0].upper()}{done.told[1:]}."


@connect.command(name="subscribe")
@click.option("--source", required=True, help="The cloud, by its id or vendor.")
@click.option("--user", default="", help="Only this wearer, by the name in the links.")
def subscribe(source: str, user: str) -> None:
    """Have a vendor notify of what wearers permit, now; each pull does when it is due.

    What is wanted and there stays, what is lacking is asked for, what ends soon is
    renewed, and what is not wanted any more is ended: all of it, where `notifications`
    no longer stands beside the cloud in the clients file.

    Exit code 0: it is as wanted; 1: something is not, and it says what.
    """
    failed = False
    with open_site() as site:
        desk = site.desk(source)
        vendor = desk.cloud.vendor
        if vendor.subscribing is None:
            text = f"{vendor.title} is not asked for notifications from here"
            raise click.ClickException(text)
        for name, done in _subscribe(site, desk, user):
            failed = failed or bool(done.problem)
            said = done.problem or done.told
            click.echo(f"{name}: {said}", err=bool(done.problem))
    if failed:
        raise SystemExit(1)


def _subscribe(
    site: OpenSite, desk: CloudDesk, user: str
) -> Iterator[tuple[str, Subscribed]]:
    """What came of each wearer, or of all where the vendor is asked once for all."""
    cloud, subscribing = desk.cloud, desk.cloud.vendor.subscribing
    assert subscribing is not None, "who calls has looked"
    if subscribing.of_app:
        done = site.subscriber.of_app(desk, whenever=True)
        yield cloud.id, done or Subscribed(NOTHING)
        return
    for grant in desk.store.grants.all(cloud.tenant, cloud.id, user):
        if grant.state is GrantState.ACTIVE:
            found = site.subscriber.of_grant(desk, grant)
            name = f"{cloud.id} {grant.wearer.user}"
            yield name, found or Subscribed(NOTHING)


@connect.command(name="list")
@click.option("--source", default="", help="Only this source.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_grants(source: str, as_json: bool) -> None:
    """List what wearers have permitted, and how far it was fetched."""
    with open_site() as site:
        told = [
            _told(site.store, desk, grant)
            for desk in site.desks
            if source in ("", desk.cloud.id)
            for grant in site.store.grants.all(desk.cloud.tenant, desk.cloud.id)
        ]
    if as_json:
        click.echo(json.dumps(told))
        return
    for each in told:
        click.echo(_line(each))


def _told(store: Store, desk: CloudDesk, grant: CloudGrant) -> Mapping[str, Any]:
    cursors = store.pulls.cursors(grant.id)
    permitted = [each.name for each in kinds_of(grant, desk.cloud)]
    return {
        "source": desk.cloud.id,
        "user": grant.wearer.user,
        "state": str(grant.state),
        "why": grant.why,
        "granted": grant.granted.isoformat(),
        "kinds": permitted if grant.state is GrantState.ACTIVE else [],
        "until": {
            name: each.until.isoformat() for name, each in cursors.items() if each.until
        },
        "problems": {n: each.problem for n, each in cursors.items() if each.problem},
        "notifications": _notifications(store, desk, grant),
    }


def _notifications(
    store: Store, desk: CloudDesk, grant: CloudGrant
) -> Mapping[str, Any] | None:
    """How a vendor that is asked to notifies; None where it is not, or no more."""
    subscribing = desk.cloud.vendor.subscribing
    if subscribing is None or grant.state is not GrantState.ACTIVE:
        return None
    known = store.subscriptions.find(
        desk.wearer("") if subscribing.of_app else grant.wearer
    )
    if known is None:
        told = desk.cloud.notifications
        return {"until": None, "problem": "not subscribed yet"} if told else None
    until = known.until.isoformat() if known.until else None
    return {"until": until, "problem": known.problem}


def _line(told: Mapping[str, Any]) -> str:
    head = f"{told['source']} {told['user']}: {told['state']}"
    if told["why"]:
        return f"{head}, {told['why']}"
    parts: Sequence[str] = [
        f"{kind} before {told['until'][kind]}" if kind in told["until"] else kind
        for kind in told["kinds"]
    ]
    problems = [f"{name}: {each}" for name, each in told["problems"].items()]
    if notified := told["notifications"]:
        until = f"until {notified['until'][:10]}" if notified["until"] else "subscribed"
        problems.append(f"notifications: {notified['problem'] or until}")
    return "; ".join([f"{head}, {', '.join(parts)}", *problems])


@connect.command(name="revoke")
@click.option("--source", required=True, help="The cloud, by its id or vendor.")
@click.option("--user", required=True, help="The wearer, by the name in the links.")
@operator_option
def revoke_grant(source: str, user: str, by: str) -> None:
    """End a permission: at the vendor, and here, where its tokens are removed."""
    with open_site() as site:
        desk = site.desk(source)
        grant = desk.store.grants.find(desk.cloud.tenant, desk.cloud.id, user)
        if grant is None or grant.state is not GrantState.ACTIVE:
            raise click.ClickException(f"{user} has no permission in force")
        problem, notified = disconnect(desk, grant, f"operator:{by}", site.subscriber)
    if notified:
        click.echo(
            "The vendor may continue to send notifications, which are ignored"
            f" ({notified})."
        )
    if problem:
        raise click.ClickException(
            f"ended here, but not at the vendor ({problem}): the wearer can end it"
            " there"
        )
    click.echo("Ended, here and at the vendor.")


def _now() -> datetime:
    return datetime.now(UTC)
