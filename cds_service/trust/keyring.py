"""Keyring: the keys that clients publish at URLs, of one process.

Keys are fetched when first needed, again in the background when they grow old, and once
more where a token names one that is not there. A server that does not answer costs
nobody anything for as long as the keys that it gave last may be used; how often it is
asked does not depend on how many tokens come.

Source: CDS Hooks 3.0.0 "Trusting CDS Clients"; RFC 7517.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock, Thread

from .clients import KeyFormat, KeyServer
from .documents import Fetch, KeyServerUnread, PublishedKeys
from .keys import VerificationKey

STALE = timedelta(hours=12)
"""How long keys are used on while their server does not answer."""
AGAIN = 5
"""Seconds between two questions to a server of which nothing is known yet."""
PATIENCE = 5.0
"""Seconds that a thread waits for another one's fetch."""

Log = Callable[..., object]
Run = Callable[[Callable[[], None]], None]


def run_beside(work: Callable[[], None]) -> None:
    """Do *work* in a thread that no process waits for."""
    Thread(target=work, daemon=True).start()


def keep_quiet(event: str, **facts: object) -> None:
    """Log nothing."""


class Keyring:
    """Every key server that was asked so far; thread-safe."""

    def __init__(
        self, fetch: Fetch, log: Log = keep_quiet, run: Run = run_beside
    ) -> None:
        self._fetch = fetch
        self._log = log
        self._run = run
        self._shelves: dict[KeyServer, _Shelf] = {}

    def find(
        self, servers: Sequence[KeyServer], jku: str | None, kid: str, now: datetime
    ) -> tuple[VerificationKey | None, str]:
        """Return the key *kid* of a client with these servers, or why there is none."""
        asked = self._servers(servers, jku, now)
        if not asked:
            return None, "jku is not the client's"
        shelves = [self._shelf(each) for each in asked]
        for shelf in shelves:
            key = shelf.look(now).keys.keys.get(kid)
            if key:
                return key, ""
        for shelf in shelves:
            key = shelf.look_again(now).keys.keys.get(kid)
            if key:
                return key, ""
        if not any(each.is_usable(now) for each in shelves):
            return None, "the client's keys cannot be had"
        if not any(each.look(now).keys.keys for each in shelves):
            return None, "the client publishes no key to verify tokens with"
        return None, "unknown kid"

    def fitting(
        self, server: KeyServer, algorithm: str, now: datetime
    ) -> tuple[VerificationKey, ...]:
        """Return the keys of a server that may sign by an algorithm, whatever name."""
        shelf = self._shelf(server)
        for look in (shelf.look, shelf.look_again):
            keys = look(now).keys.keys.values()
            if found := tuple(each for each in keys if algorithm in each.algorithms):
                break
        return found

    def knows(self, server: KeyServer, now: datetime) -> bool:
        """Check whether there is anything that a server published and that holds."""
        return self._shelf(server).is_usable(now)

    def look_at(self, server: KeyServer, now: datetime) -> "KeysKnown":
        """Return what this process has of a server; it is not asked for that."""
        shelf = self._shelves.get(server)
        return shelf.known(now) if shelf else KeysKnown()

    def _servers(
        self, servers: Sequence[KeyServer], jku: str | None, now: datetime
    ) -> list[KeyServer]:
        """Those of a client's servers that a token with this ``jku`` may mean."""
        plain = [each for each in servers if each.format is not KeyFormat.URL_LIST]
        if jku is None:
            return plain
        named = [each for each in plain if each.url == jku]
        lists = [each for each in servers if each.format is KeyFormat.URL_LIST]
        return named or [
            _listed(each, jku) for each in lists if self._lists(each, jku, now)
        ]

    def _lists(self, server: KeyServer, url: str, now: datetime) -> bool:
        shelf = self._shelf(server)
        return url in shelf.look(now).urls or url in shelf.look_again(now).urls

    def _shelf(self, server: KeyServer) -> "_Shelf":
        found = self._shelves.get(server)
        if found is None:
            made = _Shelf(server, self._fetch, self._log, self._run)
            found = self._shelves.setdefault(server, made)
        return found


def _listed(lister: KeyServer, url: str) -> KeyServer:
    return replace(
        lister, server=replace(lister.server, url=url), format=KeyFormat.JWK_SET
    )


@dataclass(frozen=True, slots=True)
class KeysKnown:
    """What one process has of a key server."""

    kids: tuple[str, ...] = ()
    since: datetime | None = None
    """When they were fetched; None where none ever were."""
    fresh_until: datetime | None = None
    """From when on they are fetched again, as soon as somebody needs one."""
    is_usable: bool = False
    asked: datetime | None = None
    """When the server was asked last, whatever came of it."""


@dataclass(frozen=True, slots=True)
class _Published:
    """A document, and from when until when it may be used."""

    document: PublishedKeys
    since: datetime

    def is_fresh(self, now: datetime) -> bool:
        return self.since <= now < self.since + timedelta(seconds=self.document.age)

    def is_usable(self, now: datetime) -> bool:
        until = self.since + timedelta(seconds=self.document.age) + STALE
        return self.since - STALE <= now < until


_NOTHING = PublishedKeys()


class _Shelf:
    """What one server published last."""

    def __init__(self, server: KeyServer, fetch: Fetch, log: Log, run: Run) -> None:
        self._server = server
        self._fetch = fetch
        self._log = log
        self._run = run
        self._lock = Lock()
        self._published: _Published | None = None
        self._asked: datetime | None = None

    def is_usable(self, now: datetime) -> bool:
        """Check whether there is anything to look at."""
        published = self._published
        return published is not None and published.is_usable(now)

    def known(self, now: datetime) -> KeysKnown:
        """Return what was published, and until when it is good."""
        published = self._published
        if published is None:
            return KeysKnown(asked=self._asked)
        document = published.document
        return KeysKnown(
            tuple(sorted(document.keys.keys)),
            published.since,
            published.since + timedelta(seconds=document.age),
            published.is_usable(now),
            self._asked,
        )

    def look(self, now: datetime) -> PublishedKeys:
        """Return what was published; fetched first where nothing usable is there."""
        published = self._published
        if published is None or not published.is_usable(now):
            return self.look_again(now)
        if not published.is_fresh(now) and self._may_ask(now):
            self._run(lambda: self._refresh(now))
        return published.document

    def look_again(self, now: datetime) -> PublishedKeys:
        """Return what is published now, as far as the server may be asked again."""
        if self._may_ask(now) or self._lock.locked():
            self._refresh(now)
        published = self._published
        return published.document if published and self.is_usable(now) else _NOTHING

    def _may_ask(self, now: datetime) -> bool:
        if self._asked is None:
            return True
        pause = self._server.refresh if self.is_usable(now) else AGAIN
        pause = min(pause, self._server.refresh)
        return abs(now - self._asked) >= timedelta(seconds=pause)

    def _refresh(self, now: datetime) -> None:
        """Asks the server, unless another thread has just done so."""
        if not self._lock.acquire(timeout=PATIENCE):
            return
        try:
            if not self._may_ask(now):
                return
            self._asked = now
            self._ask(now)
        finally:
            self._lock.release()

    def _ask(self, now: datetime) -> None:
        url = self._server.url
        try:
            document = self._fetch(self._server)
        except KeyServerUnread as error:
            self._log(
                "keys not fetched",
                url=url,
                problem=str(error),
                usable=self.is_usable(now),
            )
            return
        self._published = _Published(document, now)
        for where, problem in (*document.keys.problems, *document.keys.others):
            place = ".".join(map(str, where))
            self._log("key not used", url=url, place=f"keys.{place}", problem=problem)
        self._log("keys fetched", url=url, keys=len(document.keys.keys))
