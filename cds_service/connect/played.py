"""A Google that is played: its consent page, its tokens, and a wearer's days.

For trials and tests, on loopback. It keeps to the words of Google's pages and errors,
and can be told to do what the real one does on a bad day.
"""

import base64
import hashlib
import html
import json
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

AUTHORIZE, TOKEN, REVOKE = "/o/oauth2/v2/auth", "/token", "/revoke"
FITNESS = "/fitness/v1/users/me"
STEPS = "com.google.step_count.delta"
ISSUER = "https://accounts.google.com"
POINTS_OF_A_PAGE = 3
LOOK = 0.02
"""Seconds between two looks whether it is to end."""


class PlayedAnswer(NamedTuple):
    """What is answered."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = {}


class PlayedRequest(NamedTuple):
    """What was asked of the API."""

    path: str
    start_ms: int = 0
    end_ms: int = 0


@dataclass
class _Permission:
    scopes: tuple[str, ...]
    refresh: str
    ended: bool = False


@dataclass
class PlayedGoogle:
    """The played vendor; its fields say how it behaves."""

    client_id: str = "played"
    client_secret: str = "played-secret"
    steps: dict[int, int] = field(default_factory=dict)
    """Of the day that begins at so many milliseconds; others have some of their own."""
    points: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    """By data type: when, in nanoseconds, and what."""
    granted: tuple[str, ...] | None = None
    """Scopes that the wearer ticks, whatever is asked; all of them where it is None."""
    allows_at_once: bool = False
    """Whether nobody is shown the page."""
    token_seconds: float = 3600.0
    rotates: bool = False
    """Whether a refresh token is good once, and the access token ends with it; used
    again, all that it led to ends."""
    cuts_refresh: bool = False
    """Whether it renews, and the answer is lost on its way."""
    bad_days: deque[PlayedAnswer | None] = field(default_factory=deque)
    """What the API answers first; None is what is right."""
    seconds: float = 0.0
    """That it takes for an answer of the API."""
    asked: list[PlayedRequest] = field(default_factory=list)
    refreshed: int = 0
    revoked: list[str] = field(default_factory=list)
    _codes: dict[str, tuple[dict[str, str], tuple[str, ...]]] = field(
        default_factory=dict
    )
    _access: dict[str, tuple[_Permission, float]] = field(default_factory=dict)
    _refresh: dict[str, _Permission] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> PlayedAnswer | None:
        """Return what is answered; None where the connection just ends."""
        parts = urlsplit(target)
        query = {name: told[0] for name, told in parse_qs(parts.query).items()}
        if parts.path.startswith(FITNESS):
            return self._api(parts.path, query, headers, body)
        form = {n: told[0] for n, told in parse_qs(body.decode()).items()}
        with self._lock:
            match method, parts.path:
                case "GET", "/o/oauth2/v2/auth":
                    return self._ask(query)
                case "POST", "/o/oauth2/v2/auth":
                    return self._decide(parse_qs(body.decode()))
                case "POST", "/token":
                    return self._token(form)
                case "POST", "/revoke":
                    return self._revoke(form.get("token", ""))
        return PlayedAnswer(404, {"error": "not_found"})

    def end(self) -> None:
        """Have all that was permitted be over, as a wearer takes it back there."""
        for each in self._refresh.values():
            each.ended = True

    # The consent page

    def _ask(self, query: dict[str, str]) -> PlayedAnswer:
        problem = self._problem(query)
        if problem:
            return PlayedAnswer(400, problem)
        scopes = query["scope"].split()
        if self.allows_at_once:
            return self._allow(query, self.granted or tuple(scopes))
        boxes = "".join(
            '<p><label><input type="checkbox" name="scope" checked'
            f' value="{each}"> {each}</label></p>'
            for each in map(html.escape, scopes)
        )
        hidden = html.escape(json.dumps(query), quote=True)
        page = (
            "<!doctype html><title>Sign in</title><h1>A played Google</h1>"
            f'<form method="post" action="{AUTHORIZE}"><input type="hidden"'
            f' name="asked" value="{hidden}">{boxes}'
            '<button name="decision" value="allow">Allow</button>'
            '<button name="decision" value="deny">Deny</button></form>'
        )
        return PlayedAnswer(200, page)

    def _problem(self, query: dict[str, str]) -> str:
        redirect = urlsplit(query.get("redirect_uri", ""))
        if query.get("client_id") != self.client_id:
            return "Error 401: invalid_client"
        if redirect.hostname != "127.0.0.1" and redirect.scheme != "https":
            return "Error 400: redirect_uri_mismatch"
        wanted = {"response_type": "code", "code_challenge_method": "S256"}
        if any(query.get(name) != value for name, value in wanted.items()):
            return "Error 400: invalid_request"
        needed = ("state", "scope", "code_challenge")
        return "" if all(query.get(e) for e in needed) else "Error 400: invalid_request"

    def _decide(self, form: Mapping[str, list[str]]) -> PlayedAnswer:
        query = json.loads(form["asked"][0])
        if form.get("decision") != ["allow"]:
            return _sent_back(query, {"error": "access_denied"})
        scopes = tuple(form.get("scope", []))
        return self._allow(query, scopes if self.granted is None else self.granted)

    def _allow(self, query: dict[str, str], scopes: tuple[str, ...]) -> PlayedAnswer:
        code = secrets.token_urlsafe(16)
        self._codes[code] = (query, scopes)
        return _sent_back(query, {"code": code, "scope": " ".join(scopes)})

    # Tokens

    def _token(self, form: dict[str, str]) -> PlayedAnswer | None:
        told = (form.get("client_id"), form.get("client_secret"))
        if told != (self.client_id, self.client_secret):
            return PlayedAnswer(401, {"error": "invalid_client"})
        if form.get("grant_type") == "refresh_token":
            return self._renew(form.get("refresh_token", ""))
        query, scopes = self._codes.pop(form.get("code", ""), ({}, ()))
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        same = query.get("redirect_uri") == form.get("redirect_uri")
        if not query or challenge != query["code_challenge"] or not same:
            return PlayedAnswer(400, {"error": "invalid_grant"})
        permission = _Permission(scopes, secrets.token_urlsafe(16))
        self._refresh[permission.refresh] = permission
        return self._issued(permission, permission.refresh)

    def _renew(self, token: str) -> PlayedAnswer | None:
        permission = self._refresh.get(token)
        if permission is None or permission.ended:
            return PlayedAnswer(400, {"error": "invalid_grant"})
        if self.rotates and token != permission.refresh:
            permission.ended = True
            return PlayedAnswer(400, {"error": "invalid_grant"})
        self.refreshed += 1
        if not self.rotates:
            return None if self.cuts_refresh else self._issued(permission, "")
        for each in [t for t, of in self._access.items() if of[0] is permission]:
            del self._access[each]
        permission.refresh = secrets.token_urlsafe(16)
        self._refresh[permission.refresh] = permission
        told = self._issued(permission, permission.refresh)
        return None if self.cuts_refresh else told

    def _issued(self, permission: _Permission, refresh: str) -> PlayedAnswer:
        access = secrets.token_urlsafe(16)
        self._access[access] = (permission, time.monotonic() + self.token_seconds)
        told = {
            "access_token": access,
            "expires_in": int(self.token_seconds),
            "token_type": "Bearer",  # nosec B105 # a type, no token
            "scope": " ".join(permission.scopes),
        }
        return PlayedAnswer(200, told | ({"refresh_token": refresh} if refresh else {}))

    def _revoke(self, token: str) -> PlayedAnswer:
        permission = self._refresh.get(token) or self._access.get(token, (None,))[0]
        if permission is None or permission.ended:
            return PlayedAnswer(400, {"error": "invalid_token"})
        permission.ended = True
        self.revoked.append(token)
        return PlayedAnswer(200, {})

    # The API

    def _api(
        self, path: str, query: dict[str, str], headers: Mapping[str, str], body: bytes
    ) -> PlayedAnswer:
        time.sleep(self.seconds)
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        with self._lock:
            permission, until = self._access.get(token, (None, 0.0))
            if permission is None or permission.ended or until <= time.monotonic():
                return PlayedAnswer(401, {"error": {"code": 401}})
            bad = self.bad_days.popleft() if self.bad_days else None
            if bad is not None:
                return bad
            if path == f"{FITNESS}/dataset:aggregate":
                return self._aggregate(path, json.loads(body), permission)
            return self._dataset(path, query)

    def _aggregate(
        self, path: str, asked: Any, permission: _Permission
    ) -> PlayedAnswer:
        if not any(each.endswith("activity.read") for each in permission.scopes):
            return PlayedAnswer(403, {"error": {"code": 403}})
        start, end = int(asked["startTimeMillis"]), int(asked["endTimeMillis"])
        self.asked.append(PlayedRequest(path, start, end))
        steps = self.steps.get(start, 3000 + start // 86_400_000 % 5000)
        source = asked["aggregateBy"][0]["dataSourceId"]
        point = {
            "startTimeNanos": str((start + 3_600_000) * 1_000_000),
            "endTimeNanos": str((end - 3_600_000) * 1_000_000),
            "dataTypeName": STEPS,
            "originDataSourceId": f"raw:{STEPS}:played:watch",
            "value": [{"intVal": steps, "mapVal": []}],
        }
        held = {"dataSourceId": source, "point": [point] if steps else []}
        bucket = {
            "startTimeMillis": str(start),
            "endTimeMillis": str(end),
            "dataset": [held],
        }
        return PlayedAnswer(200, {"bucket": [bucket]})

    def _dataset(self, path: str, query: dict[str, str]) -> PlayedAnswer:
        source, _, span = path.removeprefix(f"{FITNESS}/dataSources/").partition(
            "/datasets/"
        )
        start, end = (int(each) for each in span.split("-"))
        self.asked.append(PlayedRequest(path, start // 1_000_000, end // 1_000_000))
        type = source.split(":")[1]
        every = [e for e in self.points.get(type, []) if start <= e[0] < end]
        first = int(query.get("pageToken", "0"))
        some = every[first : first + POINTS_OF_A_PAGE]
        told: dict[str, Any] = {
            "minStartTimeNs": str(start),
            "maxEndTimeNs": str(end),
            "dataSourceId": source,
            "point": [
                {
                    "startTimeNanos": str(at),
                    "endTimeNanos": str(at),
                    "dataTypeName": type,
                    "originDataSourceId": f"raw:{type}:played:watch",
                    "value": [{"fpVal": value, "mapVal": []}],
                }
                for at, value in some
            ],
        }
        if first + POINTS_OF_A_PAGE < len(every):
            told["nextPageToken"] = str(first + POINTS_OF_A_PAGE)
        return PlayedAnswer(200, told)


@contextmanager
def serve_played(google: PlayedGoogle, port: int = 0) -> Iterator[str]:
    """Serve it on loopback in the block; gives its base."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(google.answer))
    thread = Thread(target=server.serve_forever, args=(LOOK,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _sent_back(query: Mapping[str, str], told: Mapping[str, str]) -> PlayedAnswer:
    more = urlencode({"state": query["state"], "iss": ISSUER, **told})
    return PlayedAnswer(302, None, {"Location": f"{query['redirect_uri']}?{more}"})


Answer = Callable[[str, str, Mapping[str, str], bytes], PlayedAnswer | None]


def _handler(answer: Answer) -> type[BaseHTTPRequestHandler]:
    class Played(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # noqa: N802  as http.server calls it
            self._answer(b"")

        def do_POST(self) -> None:  # noqa: N802  likewise
            self._answer(self.rfile.read(int(self.headers["Content-Length"] or 0)))

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

        def _answer(self, body: bytes) -> None:
            told = answer(self.command, self.path, dict(self.headers), body)
            if told is None:
                self.close_connection = True
                return
            plain = isinstance(told.body, str)
            text = told.body if plain else json.dumps(told.body)
            content = str(text).encode()
            self.send_response(told.status)
            kind = "text/html; charset=utf-8" if plain else "application/json"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    return Played
