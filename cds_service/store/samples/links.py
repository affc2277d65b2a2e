"""Links in the database: made, ended, and taken back with all that rests on them."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    func,
    insert,
    or_,
    select,
    update,
)

from ...wearables.links import WearerLink
from ...wearables.records import PatientKey, WearableAlert
from ...wearables.samples import microseconds
from ..consents import guard
from ..database import Database, lock_table
from ..detection.due import take_back
from ..outbox.noting import change_of_alert, note
from ..recorder import Recorder
from ..records import AuditEvent, Outdated, StoreError
from ..rows import instant, wearable_alert
from ..tables import OPEN, WEARABLE_ALERTS
from .bulk import AT_ONCE
from .merging import merge
from .records import LinkEnd, LinkOutcome
from .rows import moment
from .streams import LONG_AGO
from .tables import LINK_TOKENS, LINKS, SAMPLES, STREAMS


class LinkOverlaps(StoreError):
    """Another link says at some moment whose the same readings are."""


class UnknownLink(StoreError):
    """There is no such link, or it was taken back before."""


class LinkEnded(StoreError):
    """A link has ended before, and its wearer may be another's since then."""


class LinksChanged(Outdated):
    """It rests on links that do not hold any more."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What is not the patient's any more."""

    samples: int
    alerts: int


class Links:
    """The links of one database."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def add(self, link: WearerLink, audit_event: AuditEvent) -> WearerLink:
        """Return the link with the id that it was given.

        Raises:
            LinkOverlaps: if another names the same at some moment.
        """
        made: list[WearerLink] = []

        def work(connection: Connection) -> dict[str, Any]:
            made.append(add_link(connection, link, audit_event.at))
            return {"link": made[-1].id}

        self._recorder.record(audit_event, work)
        return made[-1]

    def get(self, id: int) -> WearerLink:
        """Return a link.

        Raises:
            UnknownLink: if there is none.
        """
        with self._database.reading() as connection:
            found = read_links(connection, LINKS.c.id == id)
        if not found:
            raise UnknownLink(f"there is no link {id}")
        return found[0]

    def all(self, tenant: str, source: str = "") -> tuple[WearerLink, ...]:
        """Return the links of a tenant, those that were taken back too."""
        wanted = LINKS.c.tenant == tenant
        if source:
            wanted = and_(wanted, LINKS.c.source == source)
        with self._database.reading() as connection:
            return read_links(connection, wanted)

    def of_patient(self, patient: PatientKey) -> tuple[WearerLink, ...]:
        """Return the links of a patient, those that were taken back too."""
        with self._database.reading() as connection:
            return read_links(connection, links_of(patient))

    def naming(
        self,
        tenant: str,
        source: str,
        users: Collection[str],
        devices: Collection[str],
    ) -> tuple[WearerLink, ...]:
        """Return what says anything about these users and devices of a source."""
        found: dict[int, WearerLink] = {}
        of_users, of_devices = list(users), list(devices)
        with self._database.reading() as connection:
            for start in range(0, max(len(of_users), len(of_devices)), AT_ONCE):
                part = slice(start, start + AT_ONCE)
                some = _naming(tenant, source, of_users[part], of_devices[part])
                holding = and_(some, LINKS.c.retracted.is_(None))
                found |= {each.id: each for each in read_links(connection, holding)}
        return tuple(found.values())

    def end(self, id: int, at: datetime, audit_event: AuditEvent) -> Withdrawal:
        """Have a link end at a moment; what was measured after it was another's.

        Returns:
            What was there of that, and is withdrawn.

        Raises:
            UnknownLink: if there is none, or it was taken back.
            LinkEnded: if it has ended before that moment.
        """
        return self._withdraw(id, audit_event, at)

    def retract(self, id: int, audit_event: AuditEvent) -> Withdrawal:
        """Take a link back that never was right, and all that came by it.

        Raises:
            UnknownLink: if there is none, or it was taken back.
        """
        return self._withdraw(id, audit_event, None)

    def merge(self, old: PatientKey, new: PatientKey, audit_event: AuditEvent) -> None:
        """Have all that is kept of one patient be another's, who is the same person.

        Links, samples, alerts and Consents; what was shown in calls stays as it was.
        """
        now_us = microseconds(audit_event.at)
        self._recorder.record(audit_event, lambda each: merge(each, old, new, now_us))

    def _withdraw(
        self, id: int, audit_event: AuditEvent, at: datetime | None
    ) -> Withdrawal:
        done: list[Withdrawal] = []

        def work(connection: Connection) -> dict[str, Any]:
            done.append(end_link(connection, id, at, audit_event.at))
            told = {"samples": done[-1].samples, "alerts": done[-1].alerts}
            return {"link": id, "withdrawn": told}

        self._recorder.record(audit_event, work)
        return done[-1]


def add_link(connection: Connection, link: WearerLink, now: datetime) -> WearerLink:
    """Return the link with the id that it is given, or has, where it is there already.

    Raises:
        LinkOverlaps: if another names the same at some moment.
    """
    # Who adds at the same time waits, and then sees this one.
    lock_table(connection, LINKS)
    near = _naming(link.tenant, link.source, [link.user], [link.device])
    for other in read_links(connection, near):
        if replace(link, id=other.id) == other:
            return other
        if link.meets(other):
            raise LinkOverlaps(f"link {other.id} names the same at that time")
    added = insert(LINKS).values(_row(link, now)).returning(LINKS.c.id)
    id = connection.execute(added).scalar_one()
    return replace(link, id=id, since=link.since.astimezone(UTC))


def end_link(
    connection: Connection, id: int, at: datetime | None, now: datetime
) -> Withdrawal:
    """Return what is withdrawn with a link that ends, or never was right.

    Raises:
        UnknownLink: if there is none, or it was taken back.
        LinkEnded: if it has ended before that.
    """
    patient = _patient_of(connection, id)
    guard(connection, changed=[patient])
    # Whoever has put something under this link has committed it by now.
    held = select(LINKS).where(LINKS.c.id == id).with_for_update()
    link = _link(connection.execute(held).one())
    if link.patient != patient:
        raise LinksChanged(f"link {id} now belongs to another patient")
    if link.retracted:
        raise UnknownLink(f"link {id} was already retracted")
    if at and link.until and link.until < at:
        raise LinkEnded(f"link {id} has already ended; make another from then")
    return _end(connection, link, at, now)


def change_links(
    connection: Connection, changes: Iterable[WearerLink | LinkEnd], now: datetime
) -> Iterator[LinkOutcome]:
    """Yield what became of each change, in their order."""
    for each in changes:
        try:
            if isinstance(each, LinkEnd):
                end_link(connection, each.id, each.at, now)
                yield LinkOutcome(each.id)
            else:
                yield LinkOutcome(add_link(connection, each, now).id)
        except (LinkOverlaps, UnknownLink, LinkEnded) as error:
            yield LinkOutcome(0, str(error))


def links_of(patient: PatientKey) -> ColumnElement[bool]:
    """Return which links are a patient's."""
    told = patient._asdict().items()
    return and_(*(LINKS.c[name] == value for name, value in told))


def expect_links(connection: Connection, links: Iterable[WearerLink]) -> None:
    """Return if the links are as they were read; they stay so in this transaction.

    Raises:
        LinksChanged: if not.
    """
    seen = {each.id: each for each in links}
    ids = sorted(seen)
    for start in range(0, len(ids), AT_ONCE):
        some = LINKS.c.id.in_(ids[start : start + AT_ONCE])
        asked = select(LINKS).where(some).order_by(LINKS.c.id)
        held = connection.execute(asked.with_for_update(read=True)).all()
        found = {row.id: _link(row) for row in held}
        if any(found.get(id) != seen[id] for id in ids[start : start + AT_ONCE]):
            raise LinksChanged("a link has changed meanwhile")


def _end(
    connection: Connection, link: WearerLink, at: datetime | None, now: datetime
) -> Withdrawal:
    """From a moment on, or from the beginning: a link that never was right."""
    changes: dict[str, Any] = {"until_us": microseconds(at)} if at else {}
    if at is None:
        changes = {"retracted": instant(now)}
        tokens = update(LINK_TOKENS).where(LINK_TOKENS.c.link == link.id)
        alive = LINK_TOKENS.c.revoked.is_(None)
        connection.execute(tokens.where(alive).values(revoked=instant(now)))
    connection.execute(update(LINKS).where(LINKS.c.id == link.id).values(changes))
    from_us = microseconds(at) if at else LONG_AGO
    samples = _withdraw_streams(connection, link, from_us)
    take_back(
        connection, link.patient, link.source, link.id, from_us, microseconds(now)
    )  # fmt: skip
    changed = _withdraw_alerts(connection, link, at)
    told = [change_of_alert(each) for each in changed]
    note(connection, link.patient, told, microseconds(now))
    gone = [each for each in changed if each.status == "retracted"]
    return Withdrawal(samples, len(gone))


def _withdraw_streams(connection: Connection, link: WearerLink, from_us: int) -> int:
    whose = link.patient._asdict().items()
    of_link = [STREAMS.c[name] == value for name, value in whose]
    of_link.append(STREAMS.c.link == link.id)
    held = select(STREAMS.c.id).where(*of_link).order_by(STREAMS.c.id)
    ids = connection.execute(held.with_for_update()).scalars().all()
    later = or_(STREAMS.c.withdrawn_us.is_(None), STREAMS.c.withdrawn_us > from_us)
    some = STREAMS.c.id.in_(ids)
    changed = update(STREAMS).where(some, later).values(withdrawn_us=from_us)
    connection.execute(changed)
    sample = SAMPLES.c
    gone = select(func.count()).where(
        sample.stream.in_(ids), sample.start_us >= from_us
    )
    return int(connection.execute(gone).scalar_one())


def _withdraw_alerts(
    connection: Connection, link: WearerLink, at: datetime | None
) -> list[WearableAlert]:
    """Return alerts that began then or later, taken back, and those that end then."""
    alert = WEARABLE_ALERTS.c
    whose = [alert[name] == value for name, value in link.patient._asdict().items()]
    of_link = and_(*whose, alert.link == link.id, alert.status != "retracted")
    since = at.timestamp() if at else 0.0
    gone = connection.execute(
        update(WEARABLE_ALERTS)
        .where(of_link, alert.start_utc >= since)
        .values(status="retracted")
        .returning(*WEARABLE_ALERTS.columns)
    )
    changed = [wearable_alert(each) for each in gone.all()]
    if at is not None:
        lasting = select(WEARABLE_ALERTS).where(of_link, OPEN)
        for each in map(wearable_alert, connection.execute(lasting).all()):
            end = at.astimezone(each.start.tzinfo)
            connection.execute(
                update(WEARABLE_ALERTS)
                .where(of_link, alert.source == each.source, alert.id == each.id)
                .values(status="closed", end=end.isoformat(), end_utc=end.timestamp())
            )
            changed.append(replace(each, status="closed", end=end))
    return changed


def _patient_of(connection: Connection, id: int) -> PatientKey:
    asked = select(LINKS).where(LINKS.c.id == id)
    row = connection.execute(asked).first()
    if row is None:
        raise UnknownLink(f"there is no link {id}")
    return _link(row).patient


def _naming(
    tenant: str, source: str, users: Collection[str], devices: Collection[str]
) -> ColumnElement[bool]:
    link = LINKS.c
    of_source = and_(link.tenant == tenant, link.source == source)
    by_user = and_(of_source, link.user.in_({*users} - {""}))
    return or_(by_user, and_(of_source, link.device.in_({*devices} - {""})))


def read_links(
    connection: Connection, wanted: ColumnElement[bool]
) -> tuple[WearerLink, ...]:
    asked = select(LINKS).where(wanted).order_by(LINKS.c.id)
    return tuple(map(_link, connection.execute(asked).all()))


def _link(row: Row[Any]) -> WearerLink:
    until, grouping = row.until_us, row.grouping_s
    return WearerLink(
        source=row.source,
        patient=PatientKey(row.tenant, row.fhir_base, row.patient_id),
        since=moment(row.from_us),
        user=row.user,
        device=row.device,
        until=None if until is None else moment(until),
        mrn=row.mrn,
        authority=row.authority,
        time_zone=row.time_zone,
        grouping=None if grouping is None else timedelta(seconds=grouping),
        id=row.id,
        retracted=datetime.fromisoformat(row.retracted) if row.retracted else None,
    )


def _row(link: WearerLink, now: datetime) -> dict[str, Any]:
    return {
        **link.patient._asdict(),
        "source": link.source,
        "user": link.user,
        "device": link.device,
        "mrn": link.mrn,
        "authority": link.authority,
        "time_zone": link.time_zone,
        "grouping_s": link.grouping and int(link.grouping.total_seconds()),
        "from_us": microseconds(link.since),
        "until_us": None if link.until is None else microseconds(link.until),
        "created": instant(now),
    }
