"""The answer to a call and to a preflight, judged.

Source: CDS Hooks 3.0.0 "CDS Service Response", "HTTP Status Codes", "Returning
OperationOutcome", "Cross-Origin Resource Sharing".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .cards import Secrets, judge_actions, judge_cards
from .reply import Body, Reply, find_empty, judge_media_type, read_json
from .violations import Violation, as_of, must, note, others, should

QUICK_SECONDS = 0.5
"""The order of time in which a service is to answer."""
_RESPONSE = frozenset(("cards", "systemActions"))
_MAY_BE_EMPTY = frozenset(("$.cards",))
_TRACE = re.compile(
    r"Traceback \(most recent call last\)|^\s*at [\w$.<>]+ ?\(.*:\d+\)|\.java:\d+\)",
    re.MULTILINE,
)
_OUTCOME = "OperationOutcome"
_HERE = frozenset(("localhost", "127.0.0.1", "::1"))


@dataclass(frozen=True, slots=True)
class AskedCall:
    """What was asked, as far as the answer is judged by it."""

    patient_id: str = ""
    token: str = ""
    """That was given for the FHIR server."""
    url: str = ""
    """Where."""
    version: str = ""
    """Of CDS Hooks, as the service says; empty where it says none."""
    system_actions: bool = False
    """Whether they were agreed on beforehand."""
    origin: str = ""
    """Of the web page that asked; empty where none did."""


def judge_answer(reply: Reply, asked: AskedCall) -> list[Violation]:
    """Return every rule that the answer to a call does not keep."""
    body = read_json(reply.content)
    found = [*_transport(reply, asked)]
    if reply.status == 200:
        found += [*body.violations, *judge_media_type(reply, body)]
        found += _response(body, asked) if body.is_json else []
    elif reply.status < 300:
        text = f"{reply.status}; a call is answered with 200 and its cards."
        found.append(must("R-1", "status", text))
    elif reply.status < 400:
        text = f"{reply.status} leads elsewhere; a client does not follow with data."
        found.append(must("R-1", "status", text))
    else:
        found += _refusal(reply, body)
    return as_of(asked.version, found)


def judge_preflight(reply: Reply, origin: str) -> list[Violation]:
    """Check whether a page of *origin* may call, going by the answer to OPTIONS."""
    found = []
    if not 200 <= reply.status < 300:
        text = f"the preflight was answered with {reply.status}."
        found.append(should("S-22", "OPTIONS", text))
    found += _allows(reply, origin, "OPTIONS ")
    for header, wanted in (
        ("access-control-allow-methods", ("post",)),
        ("access-control-allow-headers", ("authorization", "content-type")),
    ):
        listed = {
            each.strip() for each in reply.headers.get(header, "").lower().split(",")
        }
        missing = [each for each in wanted if each not in listed]
        # A star allows everything but Authorization, and only without credentials.
        if missing and not ("*" in listed and "authorization" not in missing):
            text = f"does not allow {', '.join(missing)}."
            found.append(should("S-22", f"OPTIONS {_titled(header)}", text))
    return found


def _transport(reply: Reply, asked: AskedCall) -> Iterator[Violation]:
    if reply.seconds > QUICK_SECONDS:
        text = f"{reply.seconds * 1000:.0f} ms; half a second is what is asked for."
        yield note("Q-16", "time", text)
    parts = urlsplit(asked.url)
    if parts.scheme == "http" and parts.hostname not in _HERE:
        text = "is http; what is said of a patient in production goes over TLS."
        yield note("S-1", "URL", text)
    if asked.origin:
        id = "S-22" if reply.status < 400 else "E-8"
        yield from _allows(reply, asked.origin, "", id)
    stored = reply.headers.get("cache-control", "").lower()
    if reply.status == 200 and "no-store" not in stored:
        text = "lacks no-store: what is said of a patient may be kept on the way."
        yield note("R-11", "Cache-Control", text)


def _allows(
    reply: Reply, origin: str, where: str, id: str = "S-22"
) -> Iterator[Violation]:
    header = "access-control-allow-origin"
    allowed = reply.headers.get(header, "").strip()
    path = f"{where}{_titled(header)}"
    credentials = reply.headers.get("access-control-allow-credentials", "").strip()
    if not allowed:
        yield should(id, path, "is missing: a browser hides the answer from the page.")
    elif allowed == "*" and credentials.lower() == "true":
        yield should(id, path, "is * with credentials, which no browser accepts.")
    elif allowed not in ("*", origin):
        yield should(id, path, f"is {allowed[:60]!r}, not the origin that asked.")


def _titled(header: str) -> str:
    return header.title()


def _response(body: Body, asked: AskedCall) -> Iterator[Violation]:
    value = body.value
    if not isinstance(value, dict):
        yield must("R-1", "$", "must be an object with cards.")
        return
    yield from find_empty(value, "$", _MAY_BE_EMPTY)
    cards = value.get("cards")
    if "cards" not in value:
        yield must("R-2", "$.cards", "is required; without guidance it is [].")
    elif isinstance(cards, list):
        yield from judge_cards(cards, Secrets(asked.patient_id, asked.token))
    elif cards is not None:
        yield must("R-1", "$.cards", "must be an array.")
    if "systemActions" in value:
        if not asked.system_actions:
            text = "are sent, and nobody agreed on them beforehand."
            yield should("R-5", "$.systemActions", text)
        yield from judge_actions(value, "systemActions", "$", described=False)
    for each in others(value, _RESPONSE, "$"):
        yield note("R-6", each.path, each.text) if each.id == "X-1" else each


def _refusal(reply: Reply, body: Body) -> Iterator[Violation]:
    if not body.is_json or not _is_outcome(body.value):
        text = "the body is no OperationOutcome, which would say what is wrong."
        yield should("E-2", "", text)
    else:
        yield from _outcome(body.value)
    if _TRACE.search(reply.content[:1_000_000].decode("utf-8", "replace")):
        yield should("E-7", "", "the body shows a stack trace.")
    if reply.status == 401 and "www-authenticate" not in reply.headers:
        yield note("E-6", "WWW-Authenticate", "is missing from a 401.")
    if reply.status in (429, 503) and "retry-after" not in reply.headers:
        text = f"is missing from a {reply.status}."
        yield note("E-5", "Retry-After", text)


def _is_outcome(value: Any) -> bool:
    return isinstance(value, dict) and value.get("resourceType") == _OUTCOME


def _outcome(value: dict[str, Any]) -> Iterator[Violation]:
    issues = value.get("issue")
    if not isinstance(issues, list) or not issues:
        yield should("E-3", "$.issue", "must hold at least one issue.")
        return
    for place, issue in enumerate(issues):
        for name in ("severity", "code"):
            if not isinstance(issue, dict) or not isinstance(issue.get(name), str):
                yield should("E-3", f"$.issue[{place}].{name}", "is required.")
