"""A call of any CDS Service as an EHR makes it: from discovery to judgement.

First the call, then what it sends: context, prefetch and access to the FHIR server.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_urlsafe
from typing import Any
from uuid import uuid4

from ..http.addresses import parse_base
from ..protocol.conformance import (
    AskedCall,
    Reply,
    Violation,
    judge_answer,
    judge_discovery,
    judge_preflight,
    read_json,
)
from ..protocol.hooks import HOOKS, build_own_hook
from ..protocol.prefetch_tokens import Filling
from .client import Ehr
from .exchange import PATIENCE, Incomplete, Unanswered
from .fixture_server import load_records, serve_records
from .fixtures import FixtureCase, fetch_from, fill_prefetch
from .prefetch import Fetch, FhirSource, Prefetched, fill_templates, has_next

SOMEBODY = "Practitioner/1"
"""The user of a call that needs one and names none."""
LIFETIME = 300


@dataclass(frozen=True, slots=True)
class FhirAccess:
    """How the service may read the FHIR server."""

    server: str
    token: str = field(default="", repr=False)
    scope: str = ""
    subject: str = "cds-service"


class Unoffered(Exception):
    """Discovery does not offer what is to be called; the message is for a person."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a call is to be made."""

    hook: str = ""
    patient_id: str = ""
    user: str = ""
    encounter_id: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    fhir: str = ""
    fhir_port: int = 0
    token: str = field(default="", repr=False)
    scope: str = ""
    subject: str = "cds-service"
    no_prefetch: bool = False
    partial: tuple[str, ...] = ()
    """The only keys to send; empty for all."""
    all_pages: bool = False
    errors_as_outcome: bool = False
    system_actions: bool = False
    spec: str = ""
    patience: float = PATIENCE
    reads_all: bool = False
    """Whether the chart is read even where it is not sent."""


@dataclass(frozen=True, slots=True)
class Discovered:
    """What discovery answered."""

    reply: Reply
    services: tuple[Any, ...] = ()
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True)
class Called:
    """A call, what was read for it, and what is to be said of the answer."""

    entry: Mapping[str, Any]
    """Of discovery; empty where the service is not in it."""
    request: Mapping[str, Any]
    chart: Prefetched
    reply: Reply
    violations: tuple[Violation, ...]
    token: str = field(default="", repr=False)


def discover(ehr: Ehr, service_id: str = "") -> Discovered:
    """Return the answer to discovery, judged as far as it is about *service_id*."""
    reply = ehr.ask("GET", ehr.discovery_url)
    if reply.status != 200:
        return Discovered(reply)
    value = read_json(reply.content).value
    listed = value.get("services") if isinstance(value, dict) else None
    services = tuple(listed) if isinstance(listed, list) else ()
    return Discovered(reply, services, tuple(judge_discovery(reply, service_id)))


def find_entry(services: Sequence[Any], id: str, hook: str) -> Mapping[str, Any]:
    """Return the entry of a service; the first of several unless the hook says which.

    A service that is not listed can be called where its hook is named.

    Raises:
        Unoffered: if it is not listed and no hook is named.
    """
    known = [each for each in services if isinstance(each, Mapping)]
    named = [each for each in known if each.get("id") == id]
    found = next((each for each in named if hook in ("", each.get("hook"))), None)
    if found is not None:
        return found
    if hook:
        return {}
    offered = ", ".join(sorted({str(each.get("id")) for each in known})) or "none"
    raise Unoffered(
        f"There is no service {id}; offered: {offered}. "
        "With --hook it is called all the same."
    )


def call_service(
    ehr: Ehr,
    service_id: str,
    entry: Mapping[str, Any],
    wishes: Wishes,
    case: FixtureCase | None,
    now: datetime,
) -> Called:
    """Fill what is to be filled, call, and judge what comes back."""
    held = entry.get("prefetch")
    templates = held if isinstance(held, dict) else {}
    written = (case.request if case else {}).get("prefetch")
    hook, context = _opening(wishes, entry, case)
    with ExitStack() as running:
        fetch, access = running.enter_context(_chart_source(wishes, case, templates))
        chart = Prefetched()
        if isinstance(written, dict) and not wishes.no_prefetch:
            chart.values = dict(written)
        elif fetch and (wishes.reads_all or not wishes.no_prefetch):
            filling = Filling(context, wishes.user, now.date())
            chart = fill_templates(templates, filling, fetch, wishes.errors_as_outcome)
        sent = _sent(chart, wishes)
        shown = access if _tells_where(sent, chart, access, wishes, case) else None
        body = build_request(hook, context, sent, shown)
        reply = ehr.ask("POST", ehr.service_url(service_id), body)
    token = access.token if access else ""
    version = wishes.spec or str(entry.get("version") or "")
    patient_id = str(context.get("patientId", ""))
    url = ehr.service_url(service_id)
    actions = wishes.system_actions
    asked = AskedCall(patient_id, token, url, version, actions, ehr.origin)
    found = judge_answer(reply, asked)
    if ehr.origin:
        found += judge_preflight(ehr.preflight(url), ehr.origin)
    return Called(entry, body, chart, reply, tuple(found), token)


def _opening(
    wishes: Wishes, entry: Mapping[str, Any], case: FixtureCase | None
) -> tuple[str, dict[str, Any]]:
    """The hook and its context."""
    if case is not None:
        hook = wishes.hook or str(case.request.get("hook", ""))
        held = case.request.get("context")
        base = dict(held) if isinstance(held, dict) else {}
        own = {"userId": wishes.user, "encounterId": wishes.encounter_id}
        base |= {name: each for name, each in own.items() if each}
        return hook, {**base, **wishes.context}
    hook = wishes.hook or str(entry.get("hook", ""))
    context = build_context(
        hook,
        wishes.patient_id,
        user=wishes.user,
        encounter_id=wishes.encounter_id,
        more=wishes.context,
    )
    return hook, context


@contextmanager
def _chart_source(
    wishes: Wishes, case: FixtureCase | None, templates: Mapping[str, Any]
) -> Iterator[tuple[Fetch | None, FhirAccess | None]]:
    """Yield where the chart is read, and how the service may read it."""
    scope = wishes.scope or derive_scope(templates.values())
    if case is not None:
        records, token = load_records([case.chart]), token_urlsafe()
        fetch = fetch_from(records)
        if not (wishes.no_prefetch or wishes.partial):
            yield fetch, None
            return
        with serve_records(records, token=token, port=wishes.fhir_port) as server:
            yield fetch, FhirAccess(server.base, token, scope, wishes.subject)
        return
    base = parse_base(wishes.fhir) if wishes.fhir else None
    if base is None:
        if wishes.fhir:
            raise Incomplete(f"--fhir {wishes.fhir} is no http(s) address")
        yield None, None
        return
    source = FhirSource(base, wishes.token, wishes.all_pages, wishes.patience)
    yield source.fetch, FhirAccess(str(base), wishes.token, scope, wishes.subject)


def _sent(chart: Prefetched, wishes: Wishes) -> dict[str, Any]:
    """Return what of the chart goes along with the call."""
    if wishes.no_prefetch:
        return {}
    if not wishes.partial:
        return dict(chart.values)
    return {key: each for key, each in chart.values.items() if key in wishes.partial}


def _tells_where(
    sent: Mapping[str, Any],
    chart: Prefetched,
    access: FhirAccess | None,
    wishes: Wishes,
    case: FixtureCase | None,
) -> bool:
    """Check if the request names the FHIR server: a token for it, or more to read."""
    if access is None:
        return False
    held_back = wishes.no_prefetch or bool(wishes.partial) or bool(chart.left_out)
    more = any(has_next(each) for each in sent.values())
    return case is not None or bool(access.token) or held_back or more


# What a call sends


def build_context(
    hook_name: str,
    patient_id: str,
    *,
    user: str = "",
    encounter_id: str = "",
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the context of a hook, as its definition names the fields; *more* wins.

    Raises:
        Incomplete: if a required field has no value.
    """
    hook = HOOKS.get(hook_name) or build_own_hook(hook_name)
    required = {each.name for each in hook.required}
    known = {each.name for each in hook.fields}
    given = {
        "userId": user or (SOMEBODY if "userId" in required else ""),
        "patientId": patient_id,
        "encounterId": encounter_id,
    }
    context = {name: each for name, each in given.items() if each and name in known}
    context |= more or {}
    missing = sorted(required - context.keys())
    if missing:
        names = ", ".join(missing)
        raise Incomplete(
            f"{hook_name} needs {names}: give it with --context "
            f"'{{\"{missing[0]}\": …}}' or --context @file.json"
        )
    return context


def build_request(
    hook: str,
    context: Mapping[str, Any],
    prefetch: Mapping[str, Any] | None,
    access: FhirAccess | None,
) -> dict[str, Any]:
    """Return the body of a call."""
    request: dict[str, Any] = {
        "hook": hook,
        "hookInstance": str(uuid4()),
        "context": dict(context),
    }
    if prefetch:
        request["prefetch"] = dict(prefetch)
    if access:
        request["fhirServer"] = access.server
        if access.token:
            request["fhirAuthorization"] = _authorization(access, context)
    return request


def _authorization(access: FhirAccess, context: Mapping[str, Any]) -> dict[str, Any]:
    told = {
        "access_token": access.token,
        "token_type": "Bearer",  # nosec B105 # the name of a type
        "expires_in": LIFETIME,
        "scope": access.scope,
        "subject": access.subject,
    }
    if "patientId" in context:
        told["patient"] = context["patientId"]
    return told


def derive_scope(templates: Iterable[Any]) -> str:
    """Return the SMART scopes that running *templates* takes, reading alone."""
    types = {"Medication"}
    for template in templates:
        head = str(template).partition("?")[0].partition("/")[0]
        types.add(head if head.isalpha() else "")
    return " ".join(f"patient/{each}.rs" for each in sorted(types - {""}))


def find_templates(services: list[dict[str, Any]], service_id: str) -> dict[str, str]:
    """Return the prefetch templates of a service, from the answer to discovery."""
    for service in services:
        if service.get("id") == service_id:
            templates: dict[str, str] = service.get("prefetch", {})
            return templates
    offered = ", ".join(sorted({each["id"] for each in services})) or "none"
    raise Unanswered(f"There is no service {service_id}; offered: {offered}.")


def build_prefetched(case: FixtureCase, templates: Mapping[str, str]) -> dict[str, Any]:
    """Return the case's request with every template filled from its chart.

    Prefetch that the case writes itself stays as written.
    """
    if "prefetch" in case.request:
        return _fresh(case.request)
    filled = fill_prefetch(templates, case.chart, case.request["context"])
    return _fresh({**case.request, "prefetch": filled})


def build_bare(case: FixtureCase, fhir_server: str, token: str) -> dict[str, Any]:
    """Return the case's request without prefetch: *fhir_server* has to be asked."""
    request = {name: each for name, each in case.request.items() if name != "prefetch"}
    request["fhirServer"] = fhir_server
    request["fhirAuthorization"] = {
        "access_token": token,
        "token_type": "Bearer",  # nosec B105 # the name of a type
        "expires_in": LIFETIME,
        "scope": "patient/Patient.rs patient/Condition.rs patient/Observation.rs "
        "patient/MedicationRequest.rs patient/MedicationStatement.rs "
        "patient/Medication.rs",
        "subject": "cds-service",
        "patient": case.request["context"]["patientId"],
    }
    return _fresh(request)


def _fresh(request: Mapping[str, Any]) -> dict[str, Any]:
    return {**request, "hookInstance": str(uuid4())}
