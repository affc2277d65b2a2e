"""Pulls: what wearers permit is fetched, and goes the way of all readings.

One process works with a grant at a time. Whether the patient agrees to the collecting
is asked before anything is, of each kind and each time anew. A cursor moves with the
transaction that stores what was fetched, so that who breaks off goes on there, and
nothing is stored twice.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, tzinfo
from functools import partial
from itertools import chain
from uuid import uuid4

from ..audit import build_readings_event
from ..config import Cloud, WebhookSource
from ..http.pacing import Backoff
from ..ingestion import Ingestion
from ..ingestion.delivery import again_while_outdated
from ..ingestion.detecting import catch_up
from ..ingestion.readings import Shelves, sort_items, tell_shelves
from ..ingestion.whose import NOT_COVERED, Deliverer
from ..protocol.errors import Problem, Unprocessable
from ..store.grants.pulling import NotHeld
from ..store.grants.records import (
    CloudGrant,
    GrantState,
    Hold,
    PullCursor,
    Pulled,
    WantedInterval,
)
from ..store.records import TakenIn
from ..store.samples.records import ItemOutcome
from ..wearables.adapters.registry import FORMATS
from ..wearables.clock import find_zone
from ..wearables.consent import ConsentAction
from ..wearables.links import WearerLink, resolve
from ..wearables.samples import Item, LeftOut, Notice, Removal, microseconds
from .asking import Asker, NotFetched, Pace, PullWorld
from .granting import CloudDesk, kinds_of
from .planning import Errand, PullHabits, idle, links_on, plan, split
from .retelling import deleted, passed_over, versioned, withdrawn
from .subscribing import Subscribed, Subscriber
from .vendors.records import CivilDays, DataKind

HELD_FOR = timedelta(minutes=10)
"""Longer than anything that is asked for at once takes."""
LATER = Backoff(first_seconds=60.0, longest_seconds=3600.0)
MOST_PAGES = 1000
"""Of one answer; a vendor that never ends has gone wrong."""
NEWS = (ItemOutcome.ACCEPTED, ItemOutcome.REVISED, ItemOutcome.REMOVED)
"""What changes with what came."""
INVALID = "the answer cannot be understood"
NOTIFICATIONS = "notifications"
"""What a step is about that fetches nothing."""


@dataclass(frozen=True, slots=True)
class PullStep:
    """What came of one part of a pull, for who watches."""

    source: str
    user: str
    kind: str = ""
    """Empty where it is about all of the wearer."""
    days: CivilDays | None = None
    stored: int = 0
    """Readings that are new, or other than before."""
    problem: str = ""
    """Why nothing was fetched; empty where all was."""
    failed: bool = False
    """Whether somebody has to see to it, or it has to be tried again."""
    told: str = ""
    """What was done, where nothing was to be fetched."""


@dataclass(frozen=True, slots=True)
class Puller:
    """What it takes to pull."""

    desks: Sequence[CloudDesk]
    ingestion: Ingestion
    world: PullWorld
    named_only: bool = False
    """Whether nothing is fetched but what notifications have named."""
    subscriber: Subscriber | None = None
    """Looks after what vendors notify of; None where nobody does."""
    _paces: dict[tuple[str, str], Pace] = field(default_factory=dict, repr=False)

    def pace_of(self, cloud: Cloud) -> Pace:
        """Return the pace of an app, whose limit is shared by all who use it."""
        if not cloud.vendor.of_all:
            return Pace()
        return self._paces.setdefault((cloud.vendor.name, cloud.client_id), Pace())

    def pull(self, source: str = "", user: str = "") -> Iterator[PullStep]:
        """Yield what comes of each part: of one source or user, or of all.

        Raises:
            StoreError: if it cannot be stored; what was stored before is.
        """
        for desk in self.desks:
            cloud = desk.cloud
            if source in ("", cloud.id):
                for grant in desk.store.grants.all(cloud.tenant, cloud.id, user):
                    yield from self._of_grant(desk, grant)
                yield from self._of_app(desk)

    def _of_grant(self, desk: CloudDesk, grant: CloudGrant) -> Iterator[PullStep]:
        tell = partial(PullStep, desk.cloud.id, grant.wearer.user)
        if grant.state is not GrantState.ACTIVE:
            yield tell(problem=f"the grant has ended: {grant.why}")
            return
        hold = Hold(grant.id, str(uuid4()))
        held = self.take(desk, hold)
        if held is None:
            yield tell(problem="another process is pulling by this grant")
            return
        try:
            links = desk.links(grant.wearer.user)
            if any(each.retracted is None for each in links):
                yield from _Round(self, desk, hold, links, tell).steps(held)
            else:
                yield tell(problem="no link names this user", failed=True)
        except NotHeld:
            yield tell(problem="another process has taken the grant over", failed=True)
        finally:
            desk.store.pulls.leave(hold)

    def _of_app(self, desk: CloudDesk) -> Iterator[PullStep]:
        """What a vendor is to notify of, where it is asked once for all wearers."""
        subscribing = desk.cloud.vendor.subscribing
        if self.subscriber and subscribing and subscribing.of_app:
            done = self.subscriber.of_app(desk)
            yield from _notified(done, partial(PullStep, desk.cloud.id, ""))

    def take(self, desk: CloudDesk, hold: Hold) -> CloudGrant | None:
        """Return the grant, its holder's for a while; None where another has it."""
        now = self.world.clock()
        return desk.store.pulls.take(hold, now, now + HELD_FOR)


def _notified(
    done: Subscribed | None, tell: Callable[..., PullStep]
) -> Iterator[PullStep]:
    """What was changed of what a vendor notifies of, or could not be."""
    if done is not None and (done.problem or done.changed):
        yield tell(NOTIFICATIONS, problem=done.problem, told=done.told)


@dataclass(frozen=True, slots=True)
class _Answer:
    """Which data and days a vendor answered about, as which source, and when."""

    kind: DataKind
    days: CivilDays
    source: WebhookSource
    now: datetime

    @property
    def version_ms(self) -> int:
        """The version of what it tells."""
        return microseconds(self.now) // 1000


def _in_force(
    answer: _Answer,
    told: Sequence[Item],
    wanted: Iterable[WantedInterval],
    asked_ms: int,
) -> Sequence[Item]:
    """The items in the versions in which they hold against what was told before."""
    if asked_ms:
        gone = withdrawn(answer.kind, wanted, asked_ms)
        return [*versioned(told, asked_ms), *gone]
    return list(deleted(told, answer.version_ms)) if answer.kind.sole else told


@dataclass(frozen=True, slots=True)
class _Round:
    """All kinds of data of one grant, once."""

    puller: Puller
    desk: CloudDesk
    hold: Hold
    links: Sequence[WearerLink]
    tell: Callable[..., PullStep]

    def steps(self, grant: CloudGrant) -> Iterator[PullStep]:
        desk, world = self.desk, self.puller.world
        cursors = desk.store.pulls.cursors(grant.id)
        wanted = desk.store.pulls.wanted(grant)
        zones = self._zones()
        desk.store.pulls.drop(self._nobodys(wanted, zones))
        asker = Asker(desk, grant, world, self.puller.pace_of(desk.cloud))
        permitted = kinds_of(grant, desk.cloud)
        for kind in desk.cloud.kinds:
            cursor, now = cursors.get(kind.name, PullCursor(kind.name)), world.clock()
            tell = partial(self.tell, kind.name)
            if kind not in permitted:
                yield tell(problem="the wearer has not permitted it at the vendor")
                continue
            if cursor.due is not None and cursor.due > now:
                when = cursor.due.isoformat(timespec="seconds")
                yield tell(problem=f"{cursor.problem}; not before {when}", failed=True)
                continue
            cloud = desk.cloud
            habits = PullHabits(
                cloud.days_again, cloud.days_before, self.puller.named_only
            )
            of_kind = [each for each in wanted if each.kind == kind.name]
            errands = chain.from_iterable(
                plan(kind, cursor, of_kind, links, zone, habits, now)
                for zone, links in zones
            )
            asked_ms = microseconds(now) // 1000 if of_kind and kind.sole else 0
            try:
                for errand in errands:
                    yield from self._parts(asker, kind, errand, asked_ms, tell)
            except NotFetched as error:
                yield self._failed(kind, cursor, error, tell)
                if error.ended:
                    return
        yield from self._notifications(asker)

    def _notifications(self, asker: Asker) -> Iterator[PullStep]:
        """What the vendor is to notify of; last, so that nothing else waits for it."""
        subscriber = self.puller.subscriber
        subscribing = self.desk.cloud.vendor.subscribing
        if subscriber is None or subscribing is None or subscribing.of_app:
            return
        if self.puller.take(self.desk, self.hold) is not None:
            yield from _notified(subscriber.of_wearer(asker), self.tell)

    def _parts(
        self,
        asker: Asker,
        kind: DataKind,
        errand: Errand,
        asked_ms: int,
        tell: Callable[..., PullStep],
    ) -> Iterator[PullStep]:
        """What comes of the days, of each as its patient permits it at this moment."""
        permits = partial(self._is_permitted, kind, errand.days.zone)
        for part, permitted in split(errand, permits):
            if permitted:
                yield self._run(asker, kind, part, asked_ms, tell)
            else:
                yield tell(part.days, problem="the patient has not agreed to it")

    def _run(
        self,
        asker: Asker,
        kind: DataKind,
        errand: Errand,
        asked_ms: int,
        tell: Callable[..., PullStep],
    ) -> PullStep:
        stored, call = 0, kind.ask(errand.days)
        for _ in range(MOST_PAGES):
            if self.puller.take(self.desk, self.hold) is None:
                raise NotHeld(
                    "another process is pulling by this grant, or it has ended"
                )
            answered = asker.fetch(kind, call, errand.days)
            pulled = None
            if answered.next is None:
                until, wanted = errand.until, errand.wanted
                pulled = Pulled(self.hold, kind.name, until, wanted)
            stored += self._store(kind, answered.body, errand.days, pulled, asked_ms)
            if answered.next is None:
                return tell(errand.days, stored)
            call = answered.next
        raise NotFetched("its pages never end")

    def _store(
        self,
        kind: DataKind,
        body: object,
        days: CivilDays,
        pulled: Pulled | None,
        asked_ms: int,
    ) -> int:
        """How many readings are new or other, of those that are in an answer.

        Args:
            asked_ms: Where what is told holds instead of all that was told of these
                times before: when it was asked for. Else 0.
        """
        answer = _Answer(kind, days, self._source(days), self.puller.world.clock())
        wanted = pulled.wanted if pulled else ()
        told = _in_force(answer, self._read(answer, body), wanted, asked_ms)
        shelves, taken = self._take_in(answer, told, pulled)
        counted = Counter(taken.count())
        if kind.sole and (late := passed_over(shelves, taken)):
            late_told = list(versioned(late, answer.version_ms))
            _, taken_late = self._take_in(answer, late_told, None)
            counted.update(taken_late.count())
        if taken.detected.due:
            patients = {each.patient for each in shelves.samples}
            detection_of = self.puller.ingestion.detection_of
            catch_up(patients, self.desk.store, detection_of, answer.now)
        return sum(counted[each] for each in NEWS) + len(shelves.alerts)

    def _source(self, days: CivilDays) -> WebhookSource:
        """The cloud as a source; what tells no zone is on the wearer's clock."""
        cloud, zone = self.desk.cloud, str(days.zone)
        return WebhookSource(
            cloud.id, cloud.tenant, cloud.fhir_base, (), time_zone=zone
        )

    def _read(self, answer: _Answer, body: object) -> list[Item]:
        """What the vendor tells; nothing where it had nothing to answer."""
        if body is None:
            return []
        catalogue = self.puller.ingestion.gate_of(self.desk.cloud.tenant).catalogue
        format = FORMATS[answer.kind.format]
        try:
            return list(format.adapt(body, answer.source, catalogue))
        except Unprocessable:
            raise NotFetched(INVALID) from None

    def _take_in(
        self, answer: _Answer, told: Sequence[Item], pulled: Pulled | None
    ) -> tuple[Shelves, TakenIn]:
        """Store what is permitted, in one transaction with what was pulled by it."""
        kind, now = answer.kind, answer.now
        deliverer, ingestion = Deliverer(answer.source), self.puller.ingestion

        def work() -> tuple[Shelves, TakenIn]:
            items = list(self._of_wearer(told))
            shelves, intake, _ = sort_items(
                items, deliverer, ingestion, kind.format, now
            )
            event = build_readings_event(
                now,
                answer.source.tenant,
                answer.source.id,
                f"{kind.name} {answer.days.first} to {answer.days.last}",
                0,
                intake.seen,
                tell_shelves(shelves, kind.format),
            )
            intake = replace(intake, pulled=pulled)
            return shelves, self.desk.store.take_in(intake, event, now)

        return again_while_outdated(work)

    def _of_wearer(self, items: Iterable[Item]) -> Iterator[Item]:
        """What the vendor tells is of who gave the permission, while a link says so.

        What was measured while none did is nobody's, and is not kept for anybody.
        """
        user = self.links[0].user
        for each in items:
            if isinstance(each, LeftOut):
                yield each
                continue
            item = replace(each, wearer=each.wearer._replace(user=user, patient=""))
            if isinstance(item, Removal) or resolve(
                self.links, user, item.device.id, item.start
            ):
                yield item
            else:
                id = item.id if isinstance(item, Notice) else item.source_id
                yield LeftOut("wearer", Problem(NOT_COVERED, item.path), id)

    def _is_permitted(self, kind: DataKind, zone: tzinfo, day: date) -> bool:
        """Whether a patient who wears it on a day agrees to anything of the kind."""
        gate = self.puller.ingestion.gate_of(self.desk.cloud.tenant)
        now, days = self.puller.world.clock(), CivilDays(day, day, zone)
        patients = {each.patient for each in links_on(days, self.links)}
        known = self.desk.store.consents.of(patients)
        last = min(days.end - timedelta(seconds=1), max(now, days.start))
        return any(
            gate.permits_reading(ConsentAction.COLLECT, metric, at, consents, now)
            for consents in map(gate.read, known.values())
            for metric in kind.metrics
            for at in (days.start, last)
        )

    def _failed(
        self,
        kind: DataKind,
        cursor: PullCursor,
        error: NotFetched,
        tell: Callable[..., PullStep],
    ) -> PullStep:
        world, failures = self.puller.world, cursor.failures + 1
        pause = LATER.pause(failures, error.again_after or None, world.random)
        due = world.clock() + timedelta(seconds=pause) if error.again_after else None
        failed = replace(cursor, failures=failures, problem=str(error), due=due)
        if not error.ended:
            self.desk.store.pulls.fail(self.hold.grant, failed)
        return tell(problem=str(error), failed=True)

    def _nobodys(
        self,
        wanted: Sequence[WantedInterval],
        zones: Sequence[tuple[tzinfo, Sequence[WearerLink]]],
    ) -> set[WantedInterval]:
        known = {each.name for each in self.desk.cloud.kinds}
        unasked = {each for each in wanted if each.kind not in known}
        found = (set(idle(wanted, links, zone)) for zone, links in zones)
        return unasked | set(wanted).intersection(*found)

    def _zones(self) -> list[tuple[tzinfo, Sequence[WearerLink]]]:
        """The zones that the wearer was in, each with its links; the earliest first.

        That of a link is its own, else that of all wearers of the source, or the site.
        """
        site = self.puller.ingestion.gate_of(self.desk.cloud.tenant).zone
        usual = find_zone(self.desk.cloud.time_zone) or site
        found: dict[tzinfo, list[WearerLink]] = {}
        for each in sorted(self.links, key=lambda link: link.since):
            zone = find_zone(each.time_zone) or usual
            found.setdefault(zone, []).append(each)
        return list(found.items())
