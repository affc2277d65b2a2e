"""Vendors that are played on loopback, on a bad day and a good.

Withings answers with 200 whatever is wrong, has its tokens under ``body``, and spends a
refresh token with its first use.
"""

import json
import select
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Semaphore, Thread
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from cds_service.connect.played import FITNESS, PlayedAnswer, PlayedGoogle

from ..waiting import PATIENCE

Answer = tuple[int, Any, Mapping[str, str]]
SILENCE: Answer = (0, None, {})
"""Nothing is answered, for longer than anybody waits."""


@dataclass
class HaltingGoogle(PlayedGoogle):
    """A Google that is told when to answer."""

    answers: Semaphore | None = None
    """As many as the API may give so far; None for as many as are asked of it."""

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> PlayedAnswer | None:
        allowed = self.answers
        if allowed and urlsplit(target).path.startswith(FITNESS):
            allowed.acquire(timeout=PATIENCE)
        return super().answer(method, target, headers, body)


@dataclass
class PlayedVendor:
    """What both have: a consent page that asks nobody, tokens, and bad days."""

    bad_days: deque[Answer] = field(default_factory=deque)
    """What the API answers first, instead of what is right."""
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Path and parameters of what was asked of the API."""
    tokens: list[str] = field(default_factory=lambda: ["access-1"])
    """That were given; the last one is good."""
    refresh: str = "refresh-1"
    on_notify: deque[Answer] = field(default_factory=deque)
    """What is answered first to who asks it to notify, instead of what is right."""
    begun: list[str] = field(default_factory=list)
    """Topics of which it was asked to notify, each time."""

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query))
        if method == "GET" and "redirect_uri" in query:
            back = urlencode({"code": "code-1", "state": query["state"]})
            return 302, None, {"Location": f"{query['redirect_uri']}?{back}"}
        form = {name: told[0] for name, told in parse_qs(body.decode()).items()}
        if form.get("grant_type"):
            return self.give_token(form)
        told: dict[str, Any] = {**query, **form}
        if body.startswith(b"{"):
            told |= json.loads(body)
        self.asked.append((parts.path, told))
        if self.bad_days:
            return self.bad_days.popleft()
        if headers.get("Authorization") != f"Bearer {self.tokens[-1]}":
            return self.refuse_token()
        return 200, self.give(parts.path, told), {}

    def give_token(self, form: Mapping[str, str]) -> Answer:
        raise NotImplementedError

    def refuse_token(self) -> Answer:
        raise NotImplementedError

    def give(self, path: str, told: dict[str, Any]) -> Any:
        raise NotImplementedError

    def renewed(self) -> dict[str, Any]:
        """New tokens; the refresh token before them is spent."""
        number = len(self.tokens) + 1
        self.tokens.append(f"access-{number}")
        self.refresh = f"refresh-{number}"
        return {
            "access_token": self.tokens[-1],
            "refresh_token": self.refresh,
            "expires_in": 10800,
            "token_type": "Bearer",
        }


@dataclass
class PlayedWithings(PlayedVendor):
    """Weighs a wearer: a group of measures at each moment, two on a page."""

    groups: list[dict[str, Any]] = field(default_factory=list)
    account: int = 363
    scope: str = "user.metrics,user.activity"
    notified: set[tuple[str, str]] = field(default_factory=set)
    """The number of what changed, and the URL."""
    says_there_is_one: bool = False
    """Whether it refuses with 295 what it has already."""
    lists_nothing: bool = False
    """Whether it keeps to itself what it has."""

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        if urlsplit(target).path != "/notify":
            return super().answer(method, target, headers, body)
        if self.on_notify:
            return self.on_notify.popleft()
        if headers.get("Authorization") != f"Bearer {self.tokens[-1]}":
            return self.refuse_token()
        form = dict(parse_qsl(body.decode()))
        return 200, self.notify(form), {}

    def notify(self, form: Mapping[str, str]) -> Any:
        if form["action"] == "list":
            told = [
                {"appli": int(appli), "callbackurl": url, "comment": ""}
                for appli, url in sorted(self.notified)
            ]
            held = [] if self.lists_nothing else told
            return {"status": 0, "body": {"profiles": held}}
        one = form["appli"], form["callbackurl"]
        if form["action"] == "revoke":
            there = one in self.notified
            self.notified.discard(one)
            return {"status": 0 if there else 294, "body": {}}
        if not 0 < len(form["callbackurl"]) <= 255:
            return {"status": 293, "body": {}}
        self.begun.append(form["appli"])
        if self.says_there_is_one and one in self.notified:
            return {"status": 295, "body": {}}
        self.notified.add(one)
        return {"status": 0, "body": {}}

    def give_token(self, form: Mapping[str, str]) -> Answer:
        if form.get("action") != "requesttoken":
            return 200, {"status": 2554, "body": {}, "error": "Wrong action"}, {}
        spent = form.get("refresh_token") not in (None, self.refresh)
        if spent or form.get("client_secret") != "played-secret":
            return 200, {"status": 503, "body": {}, "error": "refresh_token"}, {}
        told = {
            **self.renewed(),
            "userid": self.account,
            "scope": self.scope,
        }
        return 200, {"status": 0, "body": told}, {}

    def refuse_token(self) -> Answer:
        return 200, {"status": 401, "body": {}, "error": "invalid_token"}, {}

    def give(self, path: str, told: dict[str, Any]) -> Any:
        start, end = int(told["startdate"]), int(told["enddate"])
        every = [each for each in self.groups if start <= each["date"] <= end]
        first = int(told.get("offset", 0))
        more = first + 2 < len(every)
        held = {"measuregrps": every[first : first + 2], "more": int(more)}
        held |= {"offset": first + 2 if more else 0, "timezone": "America/New_York"}
        return {"status": 0, "body": held}


@dataclass
class PlayedOura(PlayedVendor):
    """Tells the pulse of a wearer, two readings on a page, and nights."""

    scope: str = "heartrate daily personal"
    beats: dict[str, int] = field(default_factory=dict)
    nights: list[dict[str, Any]] = field(default_factory=list)
    now: Callable[[], datetime] = lambda: datetime.fromisoformat("2026-11-23T14:00Z")
    lasts: timedelta = timedelta(days=30)
    """That a subscription lasts."""
    held: dict[str, dict[str, str]] = field(default_factory=dict)
    """Subscriptions by their ids."""
    knock: Callable[[str, dict[str, str]], str] = lambda url, query: query["challenge"]
    """What a URL that is to be notified answers to a challenge."""
    renewed_ids: list[str] = field(default_factory=list)
    user: str = "o-7"

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        path = urlsplit(target).path
        if not path.startswith("/v2/webhook/subscription"):
            return super().answer(method, target, headers, body)
        if self.on_notify:
            return self.on_notify.popleft()
        known = {name.lower(): value for name, value in headers.items()}
        told = known.get("x-client-id"), known.get("x-client-secret")
        if told != ("played", "played-secret") or "authorization" in known:
            return 403, {"detail": "Forbidden"}, {}
        id = path.removeprefix("/v2/webhook/subscription").rpartition("/")[2]
        if method == "GET":
            return 200, list(self.held.values()), {}
        if method == "POST":
            return self.begin(json.loads(body))
        if id not in self.held:
            return 404, {"detail": "Not Found"}, {}
        if method == "DELETE":
            del self.held[id]
            return 204, None, {}
        self.renewed_ids.append(id)
        self.held[id]["expiration_time"] = self.ends()
        return 200, self.held[id], {}

    def begin(self, asked: Mapping[str, str]) -> Answer:
        """It has one of a collection and event, and asks the URL for the secret."""
        kind = {name: asked[name] for name in ("event_type", "data_type")}
        if any(kind.items() <= each.items() for each in self.held.values()):
            return 409, {"detail": "There is one"}, {}
        query = {"verification_token": asked["verification_token"], "challenge": "c-1"}
        if self.knock(asked["callback_url"], query) != "c-1":
            return 400, {"detail": "The challenge was not answered"}, {}
        self.begun.append(f"{kind['data_type']} {kind['event_type']}")
        id = f"s-{len(self.begun)}"
        told = {"callback_url": asked["callback_url"], "expiration_time": self.ends()}
        self.held[id] = {"id": id, **kind, **told}
        return 201, self.held[id], {}

    def ends(self) -> str:
        return (self.now() + self.lasts).isoformat()

    def give_token(self, form: Mapping[str, str]) -> Answer:
        return 200, {**self.renewed(), "scope": self.scope}, {}

    def refuse_token(self) -> Answer:
        return 401, {"title": "Unauthorized"}, {}

    def give(self, path: str, told: dict[str, Any]) -> Any:
        if path.endswith("/personal_info"):
            return {"id": self.user}
        if path.endswith("/sleep"):
            return {"data": self.nights, "next_token": None}
        first = int(told.get("next_token", 0))
        every = [{"timestamp": at, "bpm": bpm} for at, bpm in self.beats.items()]
        more = first + 2 < len(every)
        token = str(first + 2) if more else None
        return {"data": every[first : first + 2], "next_token": token}


@dataclass
class PlayedDexcom(PlayedVendor):
    """Tells glucose of a wearer in UTC that is not said to be it."""

    records: list[dict[str, Any]] = field(default_factory=list)

    def give_token(self, form: Mapping[str, str]) -> Answer:
        spent = form.get("refresh_token") not in (None, self.refresh)
        if spent:
            return 400, {"error": "invalid_grant"}, {}
        return 200, self.renewed(), {}

    def refuse_token(self) -> Answer:
        return 401, {"fault": {"faultstring": "Invalid access token"}}, {}

    def give(self, path: str, told: dict[str, Any]) -> Any:
        if path.endswith("/dataRange"):
            return {"recordType": "dataRange", "userId": "d-7"}
        found = [
            each
            for each in self.records
            if told["startDate"] <= each["systemTime"] < told["endDate"]
        ]
        return {"recordType": "egv", "recordVersion": "3.0", "records": found}


@dataclass
class PlayedHealth(PlayedVendor):
    """Tells the pulse of a wearer, point by point, and steps of days."""

    points: dict[str, int] = field(default_factory=dict)
    """When, and how fast."""

    def give_token(self, form: Mapping[str, str]) -> Answer:
        return 200, {**self.renewed(), "scope": self.scope}, {}

    scope: str = ""

    def refuse_token(self) -> Answer:
        return 401, {"error": {"code": 401}}, {}

    def give(self, path: str, told: dict[str, Any]) -> Any:
        if path.endswith("/identity"):
            return {"healthUserId": "h-7"}
        _, start, _, end, _ = told["filter"].split('"')
        return {
            "dataPoints": [
                {
                    "heartRate": {
                        "sampleTime": {"physicalTime": at, "utcOffset": "-18000s"},
                        "beatsPerMinute": str(rate),
                    }
                }
                for at, rate in sorted(self.points.items())
                if start <= at < end
            ]
        }


@contextmanager
def serve_vendor(vendor: PlayedVendor) -> Iterator[str]:
    """Serve a vendor on loopback in the block; gives its base."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"] or 0)))

        do_PUT = do_DELETE = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

        def _answer(self, body: bytes) -> None:
            status, told, headers = vendor.answer(
                self.command, self.path, dict(self.headers), body
            )
            if status == 0:
                select.select([self.connection], [], [], PATIENCE)
                self.close_connection = True
                return
            content = b"" if status == 204 else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            if status != 204:
                self.send_header("Content-Length", str(len(content)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
