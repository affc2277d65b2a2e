"""Whose a resource is: its subject against the patient of the context. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any
from urllib.parse import unquote

from ..http.addresses import parse_base, same_place
from ..protocol.formats import is_whole
from ..protocol.requests import HookRequest
from .chart import Resource

_LITERAL = re.compile(
    r"(?:(?P<base>(?i:https?)://.+)/)?(?P<type>[A-Za-z]+)/(?P<id>[^/?#|]+)"
    r"(?:/_history/[^/?#]+)?",
    re.ASCII,
)
_VISIBLE = re.compile(r"[!-~]+")
_BARE_ID = re.compile(r"[^/?#|:]+")


class Whose(Enum):
    """What a resource says about whom it concerns."""

    OWN = "own"
    FOREIGN = "foreign"
    NOBODY = "no subject"
    UNKNOWN = "subject cannot be followed"


@dataclass(frozen=True, slots=True)
class Identity:
    """The patient of the context, by every name that a reference may use."""

    patient_id: str
    base: str = ""
    """The FHIR server's base; empty where the request names none."""
    own: frozenset[str] = frozenset()
    """Full URLs, in lower case, that bundles give to the patient."""
    others: frozenset[str] = frozenset()
    """Full URLs, in lower case, that bundles give to other patients."""


def context_patient(hook_request: HookRequest) -> Identity:
    """Return the patient of the context, before anything is known of full URLs."""
    server = hook_request.fhir_server
    base = parse_base(server) if server else None
    return Identity(hook_request.patient_id, str(base) if base else "")


def identify(patient: Identity, pages: Iterable[Any]) -> Identity:
    """Return the patient's identity with the full URLs that *pages* use."""
    own, others = set(), set()
    for full_url, resource in bundle_resources(pages, "Patient"):
        if not full_url:
            continue
        if resource.get("id") == patient.patient_id:
            own.add(full_url.lower())
        elif isinstance(resource.get("id"), str):
            others.add(full_url.lower())
    return replace(patient, own=frozenset(own), others=frozenset(others - own))


def bundle_resources(
    pages: Iterable[Any], kind: str = ""
) -> Iterator[tuple[str, Resource]]:
    """Yield full URL (may be empty) and resource of every readable entry of *pages*.

    Of one type only, where *kind* names it.
    """
    for page in pages:
        entries = page.get("entry") if isinstance(page, dict) else None
        for entry in entries if isinstance(entries, list) else ():
            resource = entry.get("resource") if isinstance(entry, dict) else None
            if not isinstance(resource, dict):
                continue
            if not kind or resource.get("resourceType") == kind:
                full_url = entry.get("fullUrl")
                yield full_url if isinstance(full_url, str) else "", resource


def whose(resource: Resource, identity: Identity) -> Whose:
    """Return whose *resource* is, by its ``subject``, ``patient`` and ``focus``.

    What was observed of a fetus, a newborn, a donor or a device stands in the patient's
    record, and is not the patient's.
    """
    owner = _by_subject(resource, identity)
    if _ABOUT.isdisjoint(resource) or resource.get("resourceType") != "Observation":
        return owner
    focal = _by_focus(resource, identity)
    return focal if owner is Whose.OWN or focal is Whose.FOREIGN else owner


def _by_subject(resource: Resource, identity: Identity) -> Whose:
    subject, patient = resource.get("subject"), resource.get("patient")
    if patient is None and isinstance(subject, dict):
        if subject.get("reference") == f"Patient/{identity.patient_id}":
            return Whose.OWN  # as nearly every resource says it
    said = [
        _referred(member, identity)
        for member in (subject, patient)
        if member is not None
    ]
    return _first_of(said, Whose.FOREIGN, Whose.OWN, Whose.UNKNOWN) or Whose.NOBODY


_ABOUT = frozenset(("focus", "extension", "modifierExtension", "specimen"))
"""Members of an Observation that may say that it is not about the subject."""
_FOCAL = (
    "/structuredefinition/observation-focal-subject",
    "/structuredefinition/observation-focuscode",
    "/structuredefinition/extension-observation.focus",
)
"""Extensions that say what R4 says as ``focus``, how their addresses end."""


def _by_focus(observation: Resource, identity: Identity) -> Whose:
    """Whose an Observation is that is in the patient's record.

    Source: FHIR R4 Observation.focus, Observation.specimen; the extensions
    "observation-focal-subject" of DSTU2 and STU3 and "observation-focusCode" of R4.
    """
    said = [_focused(each, identity) for each in _listed(observation.get("focus"))]
    for name in ("extension", "modifierExtension"):
        for each in _listed(observation.get(name)):
            url = each.get("url") if isinstance(each, dict) else None
            if isinstance(url, str) and url.strip().lower().endswith(_FOCAL):
                named = each.get("valueReference")
                said.append(_focused(named, identity) if named else Whose.FOREIGN)
    donor = _donor(observation)
    if donor is not None and _referred(donor, identity) is Whose.FOREIGN:
        said.append(Whose.FOREIGN)
    return _first_of(said, Whose.FOREIGN, Whose.UNKNOWN) or Whose.OWN


def _focused(member: Any, identity: Identity) -> Whose:
    """Whose one focus is: a focus that is not followed is there to name another."""
    if not isinstance(member, dict):
        return Whose.UNKNOWN
    reference = member.get("reference")
    if reference is None:
        named = member.get("identifier") or member.get("display")
        return Whose.FOREIGN if named else Whose.UNKNOWN
    if isinstance(reference, str) and reference.strip().startswith("#"):
        return Whose.FOREIGN
    verdict = _referred(member, identity)
    return Whose.UNKNOWN if verdict is Whose.NOBODY else verdict


def _donor(observation: Resource) -> Any:
    """Of whom a contained Specimen is; None where none is contained."""
    specimen = observation.get("specimen")
    reference = specimen.get("reference") if isinstance(specimen, dict) else None
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    for contained in _listed(observation.get("contained")):
        if isinstance(contained, dict) and contained.get("id") in (
            reference,
            reference[1:],
        ):
            return contained.get("subject")
    return None


def _listed(value: Any) -> list[Any]:
    """The members of a list; what is none is taken for one of a single member."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _first_of(said: Iterable[Whose], *verdicts: Whose) -> Whose | None:
    """The first of *verdicts* that was said."""
    said = list(said)
    return next((each for each in verdicts if each in said), None)


def relative_form(reference: str, base: str) -> str:
    """Return ``Type/id`` of a reference into the server *base*; empty for any other.

    Where the base is not known, an absolute reference is taken to be into it.
    """
    literal = _LITERAL.fullmatch(reference)
    if literal is None or not _into(literal["base"], base):
        return ""
    return f"{literal['type']}/{literal['id']}"


def _referred(member: Any, identity: Identity) -> Whose:
    reference = member.get("reference") if isinstance(member, dict) else None
    if not isinstance(reference, str) or not reference.strip():
        return Whose.NOBODY
    reference = reference.strip()
    if not is_whole(reference):
        return Whose.UNKNOWN
    if reference == f"Patient/{identity.patient_id}":
        return Whose.OWN
    if _is_urn(reference):
        return _named(reference.lower(), identity)
    if reference.startswith("#"):
        return Whose.UNKNOWN  # a contained Patient's id is known to nobody else
    literal = _LITERAL.fullmatch(reference)
    if literal is None:
        bare = _BARE_ID.fullmatch(reference) and reference == identity.patient_id
        return Whose.OWN if bare else Whose.UNKNOWN
    named = literal["type"], unquote(literal["id"])
    wanted = "Patient", identity.patient_id
    if named != wanted:
        # Another case is nobody else for certain, and neither is a full URL that
        # contradicts the id it stands beside, a group, which may have the patient in
        # it, or an id that FHIR has not.
        alike = [part.lower() for part in named] == [part.lower() for part in wanted]
        odd = named[0] == "Group" or not _VISIBLE.fullmatch(named[1])
        unclear = odd or alike or reference.lower() in identity.own
        return Whose.UNKNOWN if unclear else Whose.FOREIGN
    return Whose.OWN if _into(literal["base"], identity.base) else Whose.UNKNOWN


def _named(urn: str, identity: Identity) -> Whose:
    if urn in identity.own or urn == f"urn:uuid:{identity.patient_id.lower()}":
        return Whose.OWN
    return Whose.FOREIGN if urn in identity.others else Whose.UNKNOWN


def _into(text: str | None, base: str) -> bool:
    if not text or not base:
        return True
    one, other = parse_base(text), parse_base(base)
    return one is not None and other is not None and same_place(one, other)


def _is_urn(text: str) -> bool:
    return text[:4].lower() == "urn:"
