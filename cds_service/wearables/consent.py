"""Consent: what a patient permits to be done with the data of their wearables. Pure.

Nothing is permitted that no active Consent permits, and nothing that one denies. What
this server cannot judge of a provision (an actor that it does not know, a security
label, a modifier extension) narrows a permission and widens a denial. A provision
permits only actions that it names: a general agreement to the privacy policy, of which
EHRs are full, is no consent to wearable data.

Source: FHIR R4 and R5 "Consent"; HL7 code system ``consentaction``.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from .records import PatientKey


class ConsentAction(StrEnum):
    """What is done with wearable data, as HL7's ``consentaction`` calls it."""

    COLLECT = "collect"
    """To store it."""
    USE = "use"
    """To show it to clinicians, in a card."""
    DISCLOSE = "disclose"
    """To send it to the EHR as a record of its own."""


@dataclass(frozen=True, slots=True)
class Provision:
    """One rule of a Consent, with the exceptions to it."""

    permits: bool | None
    """True, False, or None where it says neither."""
    actions: frozenset[str] | None = None
    """Codes of ``consentaction``, an empty one for what is none; None for no limit."""
    start: datetime | None = None
    """Aware UTC; None where it has always held."""
    end: datetime | None = None
    """None where it does not end by itself."""
    data_start: datetime | None = None
    """Of the data that it is about; None where older data are meant as well."""
    data_end: datetime | None = None
    codes: frozenset[tuple[str, str]] = frozenset()
    """System and code of the data that it is about; empty for any."""
    actors: frozenset[str] = frozenset()
    """References and ``system|value`` identifiers; empty for everybody."""
    foreign: bool = False
    """It is about other data, other purposes, or actors that cannot be this server."""
    unjudged: tuple[str, ...] = ()
    """Paths of limits that cannot be judged here, such as ``$.provision.data``."""
    exceptions: tuple["Provision", ...] = ()


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """A Consent as it is kept."""

    patient: PatientKey
    id: str
    """Of the resource."""
    updated: datetime
    """Aware UTC; of two versions the later one holds."""
    source: str
    """Who told: a webhook source, or the FHIR server whose patient this is."""
    resource: Mapping[str, Any]
    """The members that matter here."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What a Consent says about wearable data."""

    id: str
    status: str
    """``active``, or another word of FHIR's: none of them permits or denies."""
    provision: Provision

    @property
    def speaks(self) -> bool:
        """Whether it names an action, and so is about more than privacy at large."""
        said = self.status not in _NEVER_SAID
        return said and any(each.actions for each in _all(self.provision))


@dataclass(frozen=True, slots=True)
class DataAction:
    """One thing that is to be done with data of one kind."""

    action: ConsentAction
    now: datetime
    """Aware."""
    codes: frozenset[tuple[str, str]] = frozenset()
    """System and code, any of which names the kind of data."""
    data_at: datetime | None = None
    """When the data were measured; None if that is not one time."""
    actors: frozenset[str] = frozenset()
    """Who we are: references and ``system|value`` identifiers."""


def is_permitted(
    consents: Iterable[Consent], asked: DataAction, *, assumed: bool = False
) -> bool:
    """Check whether a patient's consents permit what is asked.

    Args:
        assumed: A patient is taken to agree until they say anything about wearable
            data: then what they said holds, and a consent that is over permits no more.
    """
    known = tuple(consents)
    active = [each.provision for each in known if each.status == ACTIVE]
    if any(denies(each, asked) for each in active):
        return False
    if any(permits(each, asked) for each in active):
        return True
    return assumed and not any(each.speaks for each in known)


def data_limits(consents: Iterable[Consent]) -> Iterator[datetime]:
    """Yield the times of data at which what consents permit may change."""
    for consent in consents:
        for each in _all(consent.provision):
            yield from (at for at in (each.data_start, each.data_end) if at)


def permits(provision: Provision, asked: DataAction) -> bool:
    """Check whether the rule certainly permits it."""
    if not _surely_applies(provision, asked):
        return False
    if any(permits(each, asked) for each in provision.exceptions):
        return True
    named = asked.action in (provision.actions or ())
    return provision.permits is True and named and not _excepted(provision, asked)


def denies(provision: Provision, asked: DataAction) -> bool:
    """Check whether the rule may deny it."""
    if not _may_apply(provision, asked):
        return False
    if _excepted(provision, asked):
        return True
    permitted = any(permits(each, asked) for each in provision.exceptions)
    return provision.permits is False and not permitted


def _excepted(provision: Provision, asked: DataAction) -> bool:
    return any(denies(each, asked) for each in provision.exceptions)


def _surely_applies(provision: Provision, asked: DataAction) -> bool:
    return (
        not provision.foreign
        and not provision.unjudged
        and (provision.actions is None or asked.action in provision.actions)
        and _holds(provision, asked.now)
        and _is_of_its_time(provision, asked.data_at) is True
        and (not provision.codes or bool(provision.codes & asked.codes))
        and (not provision.actors or bool(provision.actors & asked.actors))
    )


def _may_apply(provision: Provision, asked: DataAction) -> bool:
    """Like ``_surely_applies``, with the benefit of every doubt."""
    named = provision.actions
    return (
        not provision.foreign
        and (not named or asked.action in named or not named <= _KNOWN)
        and _holds(provision, asked.now)
        and _is_of_its_time(provision, asked.data_at) is not False
        and (not provision.codes or _may_be_meant(provision.codes, asked.codes))
        and not _are_others(provision.actors, asked.actors)
    )


def _holds(provision: Provision, now: datetime) -> bool:
    start, end = provision.start, provision.end
    return (start is None or start <= now) and (end is None or now < end)


def _is_of_its_time(provision: Provision, at: datetime | None) -> bool | None:
    """Return whether data of that time are meant; None where it cannot be told."""
    start, end = provision.data_start, provision.data_end
    if start is None and end is None:
        return True
    if at is None:
        return None
    return (start is None or start <= at) and (end is None or at < end)


def _may_be_meant(
    codes: frozenset[tuple[str, str]], ours: frozenset[tuple[str, str]]
) -> bool:
    """Check if data with *ours* may be meant: a code of another system may say so."""
    systems = {system for system, _ in ours}
    return bool(codes & ours) or any(system not in systems for system, _ in codes)


def _are_others(actors: frozenset[str], ours: frozenset[str]) -> bool:
    """Check if all are surely somebody else: organisations and devices not our own."""
    if not actors or not ours or actors & ours:
        return False
    return all(each.partition("/")[0] in _SURE_ACTORS for each in actors)


def _all(provision: Provision) -> Iterator[Provision]:
    yield provision
    for each in provision.exceptions:
        yield from _all(each)


ACTIVE = "active"
FHIR_SERVER = "FHIR server"
"""The source of what is read; no webhook source has a space in its name."""
_NEVER_SAID = ("draft", "proposed", "entered-in-error", "unknown")
_KNOWN = frozenset({*ConsentAction, "correct"})
"""Actions of which it is certain what they mean here. To deny *access*, or anything
that is not known here, is to deny all."""
_SURE_ACTORS = ("Organization", "Device")
