"""FHIR Consents of R4 and R5, read as far as they matter to wearable data.

Source: FHIR R4 "Consent" (``scope``, ``policyRule``, one root provision); R5 "Consent"
(``decision``, and a list of provisions that turn it).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from ...fhir.moments import parse_moment
from ...protocol.errors import Problem, Unprocessable
from ..consent import Consent, ConsentRecord, Provision
from ..records import PATIENT_ID, PatientKey
from .members import Rejected, Sender
from .provisions import codings, read_provision, word

KEPT = (
    "resourceType",
    "id",
    "meta",
    "status",
    "modifierExtension",
    "scope",
    "period",
    "policyRule",
    "decision",
    "provision",
)
"""Members that are stored; who witnessed it and what it says in prose are not."""
MOST_ITEMS = 1000
AHEAD = timedelta(minutes=5)
"""How far the clock of another server may be ahead of ours."""
LONGEST = 64
"""Characters of a status."""
SCOPES = "http://terminology.hl7.org/CodeSystem/consentscope"
PRIVACY = "patient-privacy"
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


class Unreadable(Exception):
    """What is no Consent that can be kept; holds no patient data."""

    def __init__(self, place: str, text: str) -> None:
        super().__init__(f"{place}: {text}")
        self.place = place
        """As ``$.meta.lastUpdated``."""
        self.text = text


def parse_consents(
    body: Any, sender: Sender, now: datetime
) -> tuple[dict[int, ConsentRecord], tuple[Rejected, ...]]:
    """Return the Consents of a delivery by their place, and what is none.

    A delivery is one Consent, or a Bundle of any type with Consents as entries.

    Raises:
        Unprocessable: if *body* is neither.
    """
    accepted: dict[int, ConsentRecord] = {}
    rejected: list[Rejected] = []
    for index, (path, resource) in enumerate(_items(body)):
        held = resource.get("id") if isinstance(resource, Mapping) else None
        id = held if isinstance(held, str) and _ID.fullmatch(held) else ""
        try:
            patient = patient_of(
                resource, sender.tenant, sender.fhir_base, sender.fhir_base
            )
            record = keep_consent(resource, patient, sender.id)
            if record.updated > now + AHEAD:
                text = "Lies in the future: no later version would ever hold."
                raise Unreadable("$.meta.lastUpdated", text)
            accepted[index] = record
        except Unreadable as error:
            problem = Problem(error.text, f"{path}{error.place.removeprefix('$')}")
            rejected.append(Rejected(index, id, (problem,)))
    return accepted, tuple(rejected)


def _items(body: Any) -> list[tuple[str, Any]]:
    kind = body.get("resourceType") if isinstance(body, Mapping) else None
    if kind == "Consent":
        return [("$", body)]
    if kind != "Bundle":
        text = "Must be a FHIR Consent, or a Bundle of them."
        raise Unprocessable(Problem(text, "$.resourceType"))
    entries = body.get("entry")
    if not isinstance(entries, list) or not entries:
        raise Unprocessable(Problem("Must be a list of entries.", "$.entry"))
    if len(entries) > MOST_ITEMS:
        text = f"A delivery holds at most {MOST_ITEMS} Consents."
        raise Unprocessable(Problem(text, "$.entry"))
    return [
        (
            f"$.entry[{index}].resource",
            each.get("resource") if isinstance(each, Mapping) else None,
        )
        for index, each in enumerate(entries)
    ]


def patient_of(resource: Any, tenant: str, fhir_base: str, server: str) -> PatientKey:
    """Return whose Consent it is; R5 has the patient as ``subject``.

    Args:
        server: The base of references that are whole URLs.

    Raises:
        Unreadable: if it names nobody there, or two patients.
    """
    named = resource if isinstance(resource, Mapping) else {}
    members = [each for each in ("patient", "subject") if each in named] or ["patient"]
    patients = []
    for name in members:
        id = _patient_id(named.get(name), server)
        if id is None:
            raise Unreadable(f"$.{name}.reference", "Must be Patient/ and an id.")
        patients.append(PatientKey(tenant, fhir_base, id))
    if len(set(patients)) > 1:
        raise Unreadable("$.subject.reference", "Must be the patient.")
    return patients[0]


def _patient_id(member: Any, server: str) -> str | None:
    reference = member.get("reference") if isinstance(member, Mapping) else None
    if not isinstance(reference, str):
        return None
    local = reference.removeprefix(f"{server}/")
    id = local.removeprefix("Patient/").partition("/_history/")[0]
    known = local.startswith("Patient/") and PATIENT_ID.fullmatch(id)
    return id if known else None


def keep_consent(
    resource: Any, patient: PatientKey, source: str, read_at: datetime | None = None
) -> ConsentRecord:
    """Return what is kept of a Consent about *patient* of which *source* told.

    Args:
        read_at: When it was read where it is kept, and so the latest that it can be:
            the age of a version that has none, or one that lies in the future.

    Raises:
        Unreadable: if it lacks what tells it from others, or its versions apart.
    """
    if not isinstance(resource, Mapping) or resource.get("resourceType") != "Consent":
        raise Unreadable("$", "Must be a Consent.")
    id, status = resource.get("id"), resource.get("status")
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise Unreadable("$.id", "Required: the id that its server knows it by.")
    if not isinstance(status, str) or not 0 < len(status) <= LONGEST:
        raise Unreadable("$.status", "Required.")
    meta = resource.get("meta")
    stamp = meta.get("lastUpdated") if isinstance(meta, Mapping) else None
    updated = _exactly(stamp)
    if read_at is not None:
        updated = min(updated or read_at, read_at)
    if updated is None:
        text = "Required, with a time: of two versions the later one holds."
        raise Unreadable("$.meta.lastUpdated", text)
    kept = {name: resource[name] for name in KEPT if name in resource}
    return ConsentRecord(patient, id, updated, source, kept)


def _exactly(stamp: Any) -> datetime | None:
    moment = parse_moment(stamp, UTC)
    return moment.low if moment and moment.low == moment.high else None


def read_consent(record: ConsentRecord, zone: tzinfo) -> Consent:
    """Return what a Consent says.

    Args:
        zone: Of the site: a date without a time is the whole of that day.
    """
    status = str(record.resource["status"]).strip().lower()
    return Consent(record.id, status, _root(record.resource, zone))


def doubts(consent: Consent) -> Iterator[str]:
    """Yield why a Consent permits less than its author may have meant, in sentences."""
    for place in _unjudged(consent.provision):
        yield f"{place} cannot be judged here."
    if consent.provision.foreign:
        yield "It is about another scope, other data or another purpose."
    if not consent.speaks:
        yield "It names no action: collect, use or disclose."


def _unjudged(provision: Provision) -> Iterator[str]:
    yield from provision.unjudged
    for each in provision.exceptions:
        yield from _unjudged(each)


def _root(resource: Mapping[str, Any], zone: tzinfo) -> Provision:
    """The rule that the Consent is as a whole."""
    written, says = resource.get("provision") or {}, _base(resource)
    if "decision" in resource or isinstance(written, list):
        period = {"period": resource["period"]} if "period" in resource else {}
        whole = {**period, "provision": written or []}
        root = read_provision(whole, says, zone, "$", turns=True)
    else:
        root = read_provision(written, says, zone, "$.provision")
    scopes = {
        code
        for system, code in codings(resource.get("scope"))
        if system in (SCOPES, "") and code
    }
    if scopes and PRIVACY not in scopes:
        root = replace(root, foreign=True)
    if resource.get("modifierExtension"):
        root = replace(root, unjudged=("$.modifierExtension", *root.unjudged))
    return root


def _base(resource: Mapping[str, Any]) -> bool | None:
    """Return what holds where no provision says otherwise."""
    if "decision" in resource:
        return word(resource["decision"])
    rules = {code for system, code in codings(resource.get("policyRule")) if code}
    if "OPTOUT" in rules:
        return False
    return True if "OPTIN" in rules else None
