"""A vendor's API, asked for one wearer: tokens kept fresh, its limits kept to.

Whoever asks has the grant alone, so that nobody else renews its tokens meanwhile, and
what a vendor allows for one wearer is asked by one. What it allows for all wearers of
an app together is shared by those whom one process asks for.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from ..http.exchange import PASSING, ReadFailure, Response, send
from ..http.pacing import (
    TEMPORARY,
    Backoff,
    Random,
    parse_retry_after,
    seconds_until_reset,
)
from ..store.grants.records import CloudGrant
from ..trust.vault import Unopened
from .granting import CloudDesk, api_request, renew, unseal
from .oauth import OAuthFailure
from .vendors.records import Answered, Call, CivilDays, DataKind, VendorFault

EARLY = timedelta(seconds=60)
"""So long before a token is over it is taken for none."""
PATIENCE = Backoff(max_attempts=4, first_seconds=1.0, longest_seconds=30.0)
LONGEST_PAUSE = 60.0
"""Seconds that a vendor may be waited for before the rest is left for the next pull."""
T = TypeVar("T")


class NotFetched(Exception):
    """A vendor did not give what was asked for; the message is a constant phrase."""

    def __init__(self, why: str, *, ended: bool = False, again_after: float = 0.0):
        """Say why.

        Args:
            ended: Whether the grant has ended with that.
            again_after: Seconds before which nothing may be asked; 0 where nobody says.
        """
        super().__init__(why)
        self.ended = ended
        self.again_after = again_after


@dataclass(frozen=True, slots=True)
class PullWorld:
    """What the world is to who asks again and again."""

    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    random: Random


@dataclass(slots=True)
class Pace:
    """Before when a vendor's limit allows no other request."""

    next: datetime | None = None

    def wait(self, world: PullWorld) -> datetime:
        """Return when the next request is made, once that is now.

        Raises:
            NotFetched: if that is too long to wait for.
        """
        now = world.clock()
        if self.next is None or self.next <= now:
            return now
        pause = (self.next - now).total_seconds()
        if pause > LONGEST_PAUSE:
            raise NotFetched(
                "the vendor accepts no more requests for now", again_after=pause
            )
        world.sleep(pause)
        return self.next


@dataclass
class Asker:
    """Asks one vendor for one wearer."""

    desk: CloudDesk
    grant: CloudGrant
    world: PullWorld
    pace: Pace = field(default_factory=Pace, repr=False)
    seconds: float = 60.0
    """For one answer."""
    _fresh: bool = False
    """Whether the token was renewed for what is asked now."""

    def fetch(self, kind: DataKind, call: Call, days: CivilDays) -> Answered:
        """Return what an answer holds.

        Raises:
            NotFetched: if none came, however often it was asked for.
        """
        return self.ask(call, lambda body: kind.read(body, days, call))

    def ask(
        self,
        call: Call,
        read: Callable[[Any], T | VendorFault],
        attempts: int = PATIENCE.max_attempts,
    ) -> T:
        """Return what is read in the JSON of an answer.

        Raises:
            NotFetched: if none came, however often it was asked for.
        """
        self._fresh = False

        def attempt() -> T | NotFetched:
            told = self._try(call, read)
            if isinstance(told, NotFetched):
                self._hold_back(told)
            return told

        return patiently(self.world, attempt, attempts)

    def _try(
        self, call: Call, read: Callable[[Any], T | VendorFault]
    ) -> "T | NotFetched":
        """What is read in an answer, or why it may be another when asked again.

        Raises:
            NotFetched: if it will not be.
        """
        try:
            response = self._send(call)
        except ReadFailure as error:
            if error.reason not in PASSING:
                raise NotFetched(error.reason) from None
            return NotFetched(error.reason)
        if response.status == 401:
            return self._renewed()
        if response.status in TEMPORARY:
            return NotFetched(
                f"HTTP {response.status}", again_after=self._told(response)
            )
        if response.status != 200:
            raise NotFetched(f"HTTP {response.status}")
        told = read(_parsed(response))
        return self._faulty(told) if isinstance(told, VendorFault) else told

    def _faulty(self, fault: VendorFault) -> NotFetched:
        if fault.kind == "token":
            return self._renewed()
        if fault.kind == "refused":
            raise NotFetched(fault.why)
        after = fault.retry_after
        return NotFetched(fault.why, again_after=after.total_seconds() if after else 0)

    def _send(self, call: Call) -> Response:
        now = self.pace.wait(self.world)
        expires = self.grant.tokens.expires
        if expires is not None and expires - EARLY <= now:
            self._renew()
        self.pace.next = now + timedelta(minutes=1) / self.desk.cloud.vendor.per_minute
        try:
            token = unseal(self.desk, self.grant, "access")
        except Unopened as error:
            raise NotFetched(f"the token cannot be read: {error}") from None
        request = api_request(self.desk.cloud, call, token)
        return send(self.desk.pool, replace(request, seconds=self.seconds))

    def _hold_back(self, told: NotFetched) -> None:
        """Have nobody of the app ask while its limit is reached."""
        if self.desk.cloud.vendor.of_all and told.again_after:
            self.pace.next = self.world.clock() + timedelta(seconds=told.again_after)

    def _renewed(self) -> NotFetched:
        """Why to ask again at once: with another token. Once: more would not help."""
        if self._fresh:
            raise NotFetched("the vendor accepts no token of this grant")
        self._renew()
        return NotFetched("the token had expired")

    def _renew(self) -> None:
        self._fresh = True
        try:
            self.grant = renew(self.desk, self.grant, self.world.clock())
        except OAuthFailure as error:
            raise NotFetched(
                str(error), ended=error.ended, again_after=error.again_after or 0
            ) from None

    def _told(self, response: Response) -> float:
        now = self.world.clock()
        told = parse_retry_after(response.headers.get("Retry-After"), now)
        return told or seconds_until_reset(response.headers, now)


def patiently(
    world: PullWorld, attempt: Callable[[], T | NotFetched], attempts: int
) -> T:
    """Return what comes of so many attempts, with pauses between them.

    Raises:
        NotFetched: if nothing does, or it would be too long to wait for.
    """
    failed = 0
    while True:
        told = attempt()
        if not isinstance(told, NotFetched):
            return told
        failed += 1
        pause = PATIENCE.pause(failed, told.again_after or None, world.random)
        if failed == attempts or pause > LONGEST_PAUSE:
            raise told
        world.sleep(pause)


def _parsed(response: Response) -> Any:
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        raise NotFetched("the answer is not JSON") from None
