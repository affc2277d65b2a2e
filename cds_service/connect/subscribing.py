"""Vendors are asked to notify: once, again before that ends, and no more when it is to.

It is done beside a pull, which stays the truth: what fails here is noted, tried again
later, and breaks nothing of a pull. One process does it at a time, and what the vendor
has already is asked for first, so that nothing is subscribed twice.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from ..config import Cloud
from ..http.exchange import PASSING, ReadFailure, send
from ..http.pacing import Backoff, parse_retry_after
from ..store.grants.records import (
    CloudGrant,
    GrantState,
    GrantWearer,
    Hold,
    SubscriptionNote,
)
from .asking import Asker, NotFetched, PullWorld, patiently
from .granting import CloudDesk, api_request, kinds_of, revoke
from .notifying import PATH
from .oauth import LONGEST_ANSWER
from .vendors.records import Call, Done, StandingOrder, Subscribing, VendorFault
from .vendors.standing import Address, first_end, next_look, plan_changes

T = TypeVar("T")
ATTEMPTS = 2
SECONDS = 20.0
"""For one answer."""
ALONE = timedelta(minutes=10)
"""Longer than all of it takes."""
LATER = Backoff(first_seconds=60.0, longest_seconds=3600.0)
IN_USE = "another process is working on it; the next pull will do it"
NOT_OURS = "it says that one exists, but lists none for this URL"


@dataclass(frozen=True, slots=True)
class Subscribed:
    """What came of it."""

    problem: str = ""
    """Why not all is as wanted; empty where it is."""
    topics: int = 0
    """How many of what is wanted are subscribed."""
    until: datetime | None = None
    """When the first of them ends; None where none has an end."""
    changed: int = 0
    """How many were begun, renewed or ended."""

    @property
    def told(self) -> str:
        """What is so now, in words; empty where something failed."""
        if self.problem:
            return ""
        if not self.topics:
            return "notifications are ended"
        until = f" until {self.until:%Y-%m-%d}" if self.until else ""
        return f"notifications are subscribed{until}"


class Speaker(Protocol):
    """Whoever asks a vendor."""

    def __call__(self, call: Call, read: Callable[[int, Any], T | VendorFault], /) -> T:
        """Return what is read in the status and the JSON of an answer.

        Raises NotFetched where none came.
        """


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Looks after what vendors notify a site of."""

    world: PullWorld
    public_url: str
    """Of the server, under which vendors reach it."""
    seconds: float = SECONDS

    def of_wearer(
        self, asker: Asker, *, whenever: bool = False, ending: bool = False
    ) -> Subscribed | None:
        """Return what came of one wearer's; None where nothing was due.

        Args:
            asker: Has the grant alone.
            whenever: Whether it is looked at though nothing is due.
            ending: Whether nothing of it is wanted any more.
        """
        desk, grant = asker.desk, asker.grant
        asker = replace(asker, seconds=self.seconds)

        def say(call: Call, read: Callable[[int, Any], T | VendorFault]) -> T:
            return asker.ask(call, lambda body: read(200, body), ATTEMPTS)

        kinds = () if ending else [e.name for e in kinds_of(grant, desk.cloud)]
        return self._look(desk, grant.wearer, kinds, say, whenever or ending)

    def of_app(self, desk: CloudDesk, *, whenever: bool = False) -> Subscribed | None:
        """Return what came of all wearers'; None where nothing was due."""
        cloud = desk.cloud
        permitted = {
            kind.name
            for each in desk.store.grants.all(cloud.tenant, cloud.id)
            if each.state is GrantState.ACTIVE
            for kind in kinds_of(each, cloud)
        }
        kinds = [each.name for each in cloud.kinds if each.name in permitted]
        say = _AppSpeaker(desk, self.world, self.seconds)
        return self._look(desk, desk.wearer(""), kinds, say, whenever)

    def of_grant(
        self, desk: CloudDesk, grant: CloudGrant, *, ending: bool = False
    ) -> Subscribed | None:
        """Return what came of those that a grant has to do with, at this moment.

        None where the vendor is not asked to notify.
        """
        subscribing = desk.cloud.vendor.subscribing
        if subscribing is None:
            return None
        if subscribing.of_app:
            return self.of_app(desk, whenever=True)
        known = desk.store.subscriptions.find(grant.wearer)
        if known is None and (ending or desk.cloud.notifications is None):
            return None
        hold, now = Hold(grant.id, str(uuid4())), self.world.clock()
        held = desk.store.pulls.take(hold, now, now + ALONE)
        if held is None:
            return Subscribed(IN_USE)
        try:
            asker = Asker(desk, held, self.world)
            return self.of_wearer(asker, whenever=True, ending=ending)
        finally:
            desk.store.pulls.leave(hold)

    def _look(
        self,
        desk: CloudDesk,
        wearer: GrantWearer,
        kinds: Sequence[str],
        say: Speaker,
        whenever: bool,
    ) -> Subscribed | None:
        subscribing, known = desk.cloud.vendor.subscribing, desk.store.subscriptions
        if subscribing is None:
            return None
        wanted = subscribing.wanted(kinds) if desk.cloud.notifications else ()
        if not wanted and known.find(wearer) is None:
            return None
        base, callback = _addresses(desk.cloud, subscribing, self.public_url)
        asked, now = _digest([callback, *wanted]), self.world.clock()
        before = known.claim(wearer, asked, now, now + ALONE, whenever=whenever)
        if before is None:
            return Subscribed(IN_USE) if whenever else None
        address = Address(callback, {base, before.base})
        turn = _Turn(desk.cloud, subscribing, say, address, wanted)
        after = 0.0
        try:
            done = turn.settle(now)
        except NotFetched as error:
            done, after = Subscribed(str(error)), error.again_after
        if not wanted and not done.problem:
            known.drop(wearer)
        else:
            note = replace(before, asked=asked, base=before.base or base)
            known.keep(self._noted(note, base, done, after))
        return done

    def _noted(
        self, note: SubscriptionNote, base: str, done: Subscribed, after: float
    ) -> SubscriptionNote:
        now = self.world.clock()
        if not done.problem:
            due = next_look(done.until, now)
            well = replace(note, base=base, until=done.until, failures=0, problem="")
            return replace(well, due=due)
        failures = note.failures + 1
        pause = LATER.pause(failures, after or None, self.world.random)
        due = now + timedelta(seconds=pause)
        return replace(note, failures=failures, problem=done.problem, due=due)


@dataclass(frozen=True, slots=True)
class _Turn:
    """What is done at a vendor, once."""

    cloud: Cloud
    subscribing: Subscribing
    say: Speaker
    address: Address
    wanted: Sequence[str]
    _refused: dict[str, list[str]] = field(default_factory=dict)
    """By why, what is not as wanted."""

    def settle(self, now: datetime) -> Subscribed:
        """Return what is subscribed once all is done that can be.

        Raises:
            NotFetched: if the vendor does not answer.
        """
        url = self.address.callback
        if self.wanted and (fault := _fault_of(url, self.cloud, self.subscribing)):
            return Subscribed(fault)
        how = self.subscribing
        standing = self.say(how.list, how.read)
        changes = plan_changes(self.wanted, standing, self.address, now)
        kept = {each.topic: each for each in changes.kept}
        changed = 0
        for each in changes.end:
            changed += self._do(how.end(each), each.topic).what == "done"
        again = []
        for each in changes.renew:
            done = self._do(how.renew(each, self._secret), each.topic)
            kept[each.topic] = done.standing or each
            changed += done.what == "done"
            if done.what == "gone":
                del kept[each.topic]
                again.append(each.topic)
        begun = self._begin([*changes.begin, *again])
        kept |= begun
        why = (f"{why} ({', '.join(of)})" for why, of in self._refused.items())
        until = first_end(kept.values())
        return Subscribed("; ".join(why), len(kept), until, changed + len(begun))

    def _begin(self, topics: Collection[str]) -> Mapping[str, StandingOrder]:
        how, url, begun, there = self.subscribing, self.address.callback, {}, []
        for topic in topics:
            done = self._do(how.begin(topic, url, self._secret), topic)
            if done.what == "already":
                there.append(topic)
            elif done.what == "done":
                begun[topic] = done.standing or StandingOrder(topic, url)
        if there:
            listed = self.say(how.list, how.read)
            ours = {each.topic: each for each in listed if each.callback == url}
            begun |= {each: ours[each] for each in there if each in ours}
            for each in (each for each in there if each not in ours):
                self._refused.setdefault(NOT_OURS, []).append(each)
        return begun

    def _do(self, call: Call, topic: str) -> Done:
        done = self.say(call, self.subscribing.judge)
        if done.what == "refused":
            self._refused.setdefault(done.why, []).append(topic)
        return done

    @property
    def _secret(self) -> str:
        told = self.cloud.notifications
        return told.secrets[0] if told else ""


@dataclass(frozen=True, slots=True)
class _AppSpeaker:
    """Asks as the app itself, by its id and secret."""

    desk: CloudDesk
    world: PullWorld
    seconds: float

    def __call__(self, call: Call, read: Callable[[int, Any], T | VendorFault]) -> T:
        return patiently(self.world, lambda: self._try(call, read), ATTEMPTS)

    def _try(
        self, call: Call, read: Callable[[int, Any], T | VendorFault]
    ) -> T | NotFetched:
        cloud, how = self.desk.cloud, self.desk.cloud.vendor.subscribing
        assert how is not None, "who has none is not asked"
        request = api_request(cloud, call, "")
        headers = {n: e for n, e in request.headers.items() if n != "Authorization"}
        headers |= how.headers(cloud.client_id, cloud.client_secret)
        try:
            request = replace(
                request, headers=headers, seconds=self.seconds, bytes=LONGEST_ANSWER
            )
            response = send(self.desk.pool, request)
        except ReadFailure as error:
            if error.reason in PASSING:
                return NotFetched(error.reason)
            raise NotFetched(error.reason) from None
        try:
            body = json.loads(response.content) if response.content else None
        except (ValueError, RecursionError):
            body = None
        told = read(response.status, body)
        if not isinstance(told, VendorFault):
            return told
        if told.kind != "busy":
            raise NotFetched(told.why)
        asked = response.headers.get("Retry-After")
        after = parse_retry_after(asked, self.world.clock())
        return NotFetched(told.why, again_after=after or 0.0)


def disconnect(
    desk: CloudDesk, grant: CloudGrant, by: str, subscriber: Subscriber
) -> tuple[str, str]:
    """Return why the vendor was not told that a grant ends, and why it notifies still.

    Both are empty where it was told. Here it ends all the same.
    """
    subscribing = desk.cloud.vendor.subscribing
    by_token = subscribing is not None and not subscribing.of_app
    # With its token one speaks for the wearer, and without it for nobody.
    ended = subscriber.of_grant(desk, grant, ending=True) if by_token else None
    current = desk.store.grants.find(*_named(grant)) or grant
    problem = ""
    if current.state is GrantState.ACTIVE:
        problem = revoke(desk, current, by, subscriber.world.clock())
    if not by_token:
        ended = subscriber.of_grant(desk, grant, ending=True)
    return problem, ended.problem if ended else ""


def _named(grant: CloudGrant) -> tuple[str, str, str]:
    wearer = grant.wearer
    return wearer.tenant, wearer.source, wearer.user


def _addresses(
    cloud: Cloud, subscribing: Subscribing, public_url: str
) -> tuple[str, str]:
    """How URLs of a source begin, and the one to which its vendor is to notify."""
    base = public_url.rstrip("/") + PATH.replace("<cloud>", cloud.id)
    told = cloud.notifications
    if told is None or not subscribing.secret_in_url:
        return base, base
    return base, f"{base}/{told.secrets[0]}"


def _fault_of(url: str, cloud: Cloud, subscribing: Subscribing) -> str:
    """Why a vendor would not take a URL; empty where it may."""
    if len(url) > subscribing.longest_url:
        most = subscribing.longest_url
        return f"the URL to notify has more than {most} characters"
    if urlsplit(url).scheme != "https" and not cloud.simulated:
        return "CDS_PUBLIC_URL does not begin with https://"
    return ""


def _digest(wanted: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(wanted).encode()).hexdigest()
