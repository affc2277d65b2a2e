"""A small FHIR server that holds bundles: for the demo, trials and tests.

It keeps nothing, writes nothing and listens on loopback only.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

Resource = Mapping[str, Any]

DATES = (
    "effectiveDateTime",
    "effectivePeriod",
    "issued",
    "onsetDateTime",
    "recordedDate",
    "authoredOn",
    "dateAsserted",
)
"""Elements that ``date`` and ``_sort=date`` look at, the first that is there."""


@dataclass(frozen=True, slots=True)
class Records:
    """What the server holds: resource type, then id, to resource."""

    by_type: dict[str, dict[str, Resource]] = field(default_factory=dict)

    def of(self, resource_type: str) -> dict[str, Resource]:
        """Return all resources of a type."""
        return self.by_type.get(resource_type, {})


def load_records(bundles: Iterable[Resource]) -> Records:
    """Return the resources of bundles, as a server that took them in holds them.

    A resource without id gets one, and references to what is in the same bundle, by
    ``urn:uuid`` or by absolute URL, become ``Type/id``.
    """
    records = Records()
    for bundle in bundles:
        entries = [each for each in bundle.get("entry", []) if each.get("resource")]
        resources = [_with_id(each, place) for place, each in enumerate(entries)]
        names: dict[str, str] = {}
        for entry, resource in zip(entries, resources, strict=True):
            name = f"{resource['resourceType']}/{resource['id']}"
            names.setdefault(f"urn:uuid:{resource['id']}", name)
            names[name] = name
            if entry.get("fullUrl"):
                names[entry["fullUrl"]] = name
        for resource in resources:
            held = records.by_type.setdefault(resource["resourceType"], {})
            held.setdefault(resource["id"], _relink(resource, names))
    return records


def answer(
    records: Records, target: str, base: str = "", page_size: int | None = 100
) -> tuple[int, dict[str, Any]]:
    """Return status and body for a read (``Type/id``) or a search (``Type?…``).

    A page size of None means that everything fits on one page.
    """
    parts = urlsplit(target)
    steps = unquote(parts.path).strip("/").split("/")
    query = parse_qsl(parts.query, keep_blank_values=True)
    if steps == ["metadata"]:
        return 200, dict(_CAPABILITIES)
    if len(steps) == 2:
        resource = records.of(steps[0]).get(steps[1])
        if resource is None:
            return 404, build_outcome("not-found", "There is no such resource.")
        return 200, dict(resource)
    if len(steps) != 1 or not steps[0]:
        return 404, build_outcome("not-found", "This server reads and searches only.")
    unknown = sorted({name for name, _ in query} - set(_FILTERS) - _CONTROLS)
    if unknown:
        return 400, build_outcome("not-supported", f"Unknown parameter: {unknown[0]}.")
    return 200, _search(records, steps[0], query, base, page_size)


def _search(
    records: Records,
    resource_type: str,
    query: list[tuple[str, str]],
    base: str,
    page_size: int | None,
) -> dict[str, Any]:
    control = dict(query)
    matches = [
        each for each in records.of(resource_type).values() if _fits(each, query)
    ]
    if control.get("_sort", "").endswith("date"):
        newest_first = control["_sort"].startswith("-")
        matches.sort(key=_when, reverse=newest_first)
    start = int(control.get("_offset") or 0)
    size = int(control.get("_count") or page_size or len(matches) or 1)
    page = matches[start : start + size]
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(matches),
    }
    if start + size < len(matches):
        rest = [each for each in query if each[0] != "_offset"]
        more = urlencode([*rest, ("_offset", str(start + size))])
        bundle["link"] = [
            {"relation": "next", "url": f"{base}/{resource_type}?{more}"},
        ]
    entries = [_entry(each, base, "match") for each in page]
    if control.get("_include") == f"{resource_type}:medication":
        entries += [_entry(each, base, "include") for each in _included(records, page)]
    if entries:
        bundle["entry"] = entries
    return bundle


def _fits(resource: Resource, query: list[tuple[str, str]]) -> bool:
    """Check if a search finds a resource; one whose shape is none is found by none."""
    try:
        return all(
            _FILTERS[name](resource, value) for name, value in query if name in _FILTERS
        )
    except (AttributeError, TypeError):
        return False


def _included(records: Records, page: list[Resource]) -> list[Resource]:
    named = {_target(each.get("medicationReference")) for each in page}
    return [each for id, each in records.of("Medication").items() if id in named]


def _entry(resource: Resource, base: str, mode: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"resource": resource, "search": {"mode": mode}}
    if base:
        entry["fullUrl"] = f"{base}/{resource['resourceType']}/{resource['id']}"
    return entry


def _is_about(resource: Resource, wanted: str) -> bool:
    subject = resource.get("subject") or resource.get("patient")
    return bool(wanted) and _target(subject) == wanted.rpartition("/")[2]


def _target(reference: Any) -> str:
    held = reference.get("reference") if isinstance(reference, Mapping) else None
    return str(held or "").rpartition("/")[2]


def _has_id(resource: Resource, wanted: str) -> bool:
    return resource["id"] in wanted.split(",")


def _has_code(resource: Resource, wanted: str) -> bool:
    concept = resource.get("code") or resource.get("medicationCodeableConcept")
    return any(_matches(concept, each) for each in wanted.split(","))


def _has_category(resource: Resource, wanted: str) -> bool:
    held = resource.get("category") or []
    concepts = held if isinstance(held, list) else [held]
    return any(
        _matches(concept, each) for concept in concepts for each in wanted.split(",")
    )


def _has_clinical_status(resource: Resource, wanted: str) -> bool:
    status = resource.get("clinicalStatus")
    return any(_matches(status, each) for each in wanted.split(","))


def _has_intent(resource: Resource, wanted: str) -> bool:
    return resource.get("intent") in wanted.split(",")


def _has_status(resource: Resource, wanted: str) -> bool:
    return resource.get("status") in wanted.split(",")


def _matches(concept: Any, wanted: str) -> bool:
    """Check if a CodeableConcept has a token: ``system|code``, ``system|`` or ``code``.

    Source: FHIR R4 search, "token".
    """
    system, bar, code = wanted.rpartition("|")
    codings = concept.get("coding", []) if isinstance(concept, Mapping) else []
    return any(
        (not code or coding.get("code") == code)
        and (not bar or coding.get("system", "") == system)
        for coding in codings
    )


def _has_date(resource: Resource, wanted: str) -> bool:
    prefix, limit = (wanted[:2], wanted[2:]) if wanted[:1].isalpha() else ("eq", wanted)
    held = _when(resource)
    order = (held[: len(limit)] > limit) - (held[: len(limit)] < limit)
    return bool(held) and order in _ORDERS[prefix]


def _when(resource: Resource) -> str:
    held = next((resource[name] for name in DATES if resource.get(name)), "")
    if isinstance(held, Mapping):
        held = held.get("end") or held.get("start") or ""
    return str(held)


def _with_id(entry: Mapping[str, Any], place: int) -> dict[str, Any]:
    resource = dict(entry["resource"])
    if not resource.get("id"):
        last = entry.get("fullUrl", "").replace(":", "/").rpartition("/")[2]
        resource["id"] = last or f"{resource['resourceType'].lower()}-{place}"
    return resource


def _relink(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_relink(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    linked = {name: _relink(each, names) for name, each in value.items()}
    if isinstance(linked.get("reference"), str):
        linked["reference"] = names.get(linked["reference"], linked["reference"])
    return linked


def build_outcome(code: str, text: str) -> dict[str, Any]:
    """Return an OperationOutcome with one error."""
    issue = {"severity": "error", "code": code, "details": {"text": text}}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


_FILTERS: Mapping[str, Callable[[Resource, str], bool]] = {
    "patient": _is_about,
    "subject": _is_about,
    "_id": _has_id,
    "code": _has_code,
    "category": _has_category,
    "clinical-status": _has_clinical_status,
    "intent": _has_intent,
    "status": _has_status,
    "date": _has_date,
}
_CONTROLS = {"_count", "_offset", "_sort", "_include", "_format"}
_ORDERS = {"eq": {0}, "lt": {-1}, "gt": {1}, "le": {-1, 0}, "ge": {0, 1}}
_CAPABILITIES = {
    "resourceType": "CapabilityStatement",
    "status": "active",
    "kind": "instance",
    "fhirVersion": "4.0.1",
    "format": ["json"],
}


# Served on loopback


@dataclass(slots=True)
class FixtureServer:
    """A running server."""

    base: str
    """Its FHIR base, such as ``http://127.0.0.1:40001/fhir``."""
    seen: list[str] = field(default_factory=list)
    """What was asked so far, as ``Condition?patient=1``."""


@contextmanager
def serve_records(
    records: Records, *, token: str = "", port: int = 0, page_size: int = 100
) -> Iterator[FixtureServer]:
    """A FHIR server on loopback for as long as the block lasts.

    With a token, only requests that bear it are answered.
    """
    server = ThreadingHTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler)
    server.daemon_threads = True
    running = FixtureServer(f"http://127.0.0.1:{server.server_port}/fhir")

    def reply(target: str, authorization: str) -> tuple[int, dict[str, Any]]:
        below = target.removeprefix("/fhir/")
        running.seen.append(below)
        if token and authorization != f"Bearer {token}":
            return 401, build_outcome("login", "A token is required.")
        try:
            return answer(records, below, running.base, page_size)
        except (KeyError, ValueError):
            return 400, build_outcome("invalid", "The query was not understood.")

    server.RequestHandlerClass = _handler(reply)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(
    reply: Callable[[str, str], tuple[int, dict[str, Any]]],
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body = reply(self.path, self.headers.get("Authorization", ""))
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/fhir+json; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: what is asked names patients."""

    return Handler
