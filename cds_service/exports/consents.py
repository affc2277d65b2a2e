"""All Consents of a FHIR server, page by page, by the patient whose they are."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..audit import build_consent_event
from ..config import Clients
from ..fhir.entries import is_resource, total_of
from ..fhir.foreign_text import clean
from ..ingestion import TRIES
from ..store.records import ConsentsChanged
from ..store.rows import canonical_json
from ..store.store import Store
from ..wearables.adapters.consents import Unreadable, keep_consent, patient_of
from ..wearables.consent import FHIR_SERVER, ConsentRecord
from ..wearables.consent_gate import (
    ConsentChange,
    ConsentGate,
    Stamp,
    plan_change,
    stamp_of,
)
from ..wearables.detection.detectors import Detector
from ..wearables.records import PatientKey
from .entries import (
    BARREN,
    NAMED,
    PageEntry,
    Role,
    SearchTally,
    complaints,
    entries_of,
    errors_of,
    pages_of,
)
from .server import FhirServer, ServerFailure, Wanted

CONSENTS = Wanted("Consent")
_LONGEST = 80
"""Characters of an id that are shown."""


@dataclass(frozen=True, slots=True)
class Tenancy:
    """One tenant's patients, and how their Consents are read."""

    tenant: str
    fhir_base: str
    gate: ConsentGate
    clients: Clients | None
    """None where no clients file is named."""
    rules: str
    """The digest of the rules that know its metrics."""
    detectors: tuple[Detector, ...] = ()
    """By which readings are judged."""

    def patient(self, id: str) -> PatientKey:
        """Return a patient of the tenant."""
        return PatientKey(self.tenant, self.fhir_base, id)


@dataclass(frozen=True, slots=True)
class HeldConsent:
    """A Consent that waits to be stored, packed: a server may have half a million."""

    id: str
    updated: datetime
    text: str
    """Its members, as canonical JSON."""


@dataclass(slots=True)
class ConsentsTold:
    """What a server has told so far."""

    tenancy: Tenancy
    server: str
    """Its base: references that are whole URLs lead there."""
    held: dict[PatientKey, list[HeldConsent]] = field(default_factory=dict)
    consents: int = 0
    pages: int = 0
    total: int | None = None
    unreadable: int = 0
    names: list[str] = field(default_factory=list)
    """Of what could not be read, the first of them."""
    errors: list[str] = field(default_factory=list)
    failure: str = ""
    """Why no more pages came; a sentence."""
    unsure: set[PatientKey] = field(default_factory=set)
    """Patients of whom something came that could not be read."""

    @property
    def lacks_some(self) -> bool:
        """Whether Consents may be missing of which nothing at all is known."""
        came = self.consents + self.unreadable
        short = self.total is not None and came < self.total
        return bool(self.failure or self.errors) or short

    def records_of(self, patient: PatientKey) -> list[ConsentRecord]:
        """Return the Consents of a patient, in every version that came."""
        return [
            ConsentRecord(
                patient, each.id, each.updated, FHIR_SERVER, json.loads(each.text)
            )
            for each in self.held.get(patient, ())
        ]

    def take(self, page: Mapping[str, Any], now: datetime) -> bool:
        """Take the Consents of a page read at *now*; return whether one was new."""
        before = self.consents
        for entry in entries_of(page, CONSENTS.kind):
            # A Consent is what it is, whether it matched or is said to come beside.
            if is_resource(entry.resource, CONSENTS.kind):
                self._take_consent(entry, now)
            elif entry.role is Role.UNREADABLE:
                self._lose(entry.name)
            else:
                self.errors += errors_of(entry.resource)
        self.pages += 1
        total = total_of(page)
        self.total = self.total if total is None else total
        del self.errors[NAMED:]
        return self.consents > before

    def why_not_whole(self) -> Iterator[str]:
        """Yield a sentence for each reason why there may be more."""
        tally = SearchTally(
            self.consents, self.total, self.unreadable, self.names, self.errors
        )
        if self.failure:
            yield self.failure
        yield from complaints(tally, CONSENTS.many, "stored")

    def _take_consent(self, entry: PageEntry, now: datetime) -> None:
        tenant, base = self.tenancy.tenant, self.tenancy.fhir_base
        patient = None
        try:
            patient = patient_of(entry.resource, tenant, base, self.server)
            record = keep_consent(entry.resource, patient, FHIR_SERVER, now)
        except Unreadable as error:
            self.unsure |= {patient} if patient else set()
            id = entry.resource.get("id")
            why = str(error).rstrip(".")
            self._lose(f"{clean(id)[:_LONGEST] or entry.name} ({why})")
            return
        own = self.held.setdefault(patient, [])
        same = [each for each in own if each.id == record.id]
        text = canonical_json(record.resource)
        if not any(each.text == text for each in same):
            own.append(HeldConsent(record.id, record.updated, text))
            self.consents += not same

    def _lose(self, name: str) -> None:
        self.unreadable += 1
        if len(self.names) < NAMED:
            self.names.append(name)


def read_consents(
    server: FhirServer,
    told: ConsentsTold,
    count: int,
    clock: Callable[[], datetime],
    say: Callable[[str], None],
) -> None:
    """Take every page of the server, or what comes before one that fails."""
    barren = 0
    try:
        for page in pages_of(server, CONSENTS.kind, count):
            if barren >= BARREN:
                message = f"The last {BARREN} pages brought no consent that is new."
                raise ServerFailure(message)
            barren = 0 if told.take(page, clock()) else barren + 1
            of = f" of {told.total}" if told.total else ""
            say(f"{told.consents}{of} consents, {told.pages} pages")
    except ServerFailure as failure:
        told.failure = str(failure)


# What was told, stored patient by patient. Pages take minutes, and meanwhile calls and
# webhooks go on telling. What came after the reading began is newer than a page that
# may lack it: it is neither forgotten nor told again by an older page. Where something
# may not have come, no new permission is stored: what is missing may deny it

NOTHING: Stamp = frozenset()


@dataclass(frozen=True, slots=True)
class Keeper:
    """Stores what a FHIR server has told."""

    store: Store
    gate: ConsentGate
    server: str
    """Its base, for the audit trail."""
    before: Mapping[PatientKey, Stamp]
    """What was kept of what it had told when the reading began."""
    clock: Callable[[], datetime]
    is_sure: Callable[[PatientKey], bool] = lambda patient: True
    """Whether all that the server has of a patient surely came."""

    def keep(
        self,
        patients: Iterable[PatientKey],
        told: Callable[[PatientKey], Sequence[ConsentRecord]],
        *,
        whole: bool,
    ) -> Iterator[ConsentChange]:
        """Yield what changes of each patient, each stored before the next is looked at.

        Args:
            patients: Of whom anything was told.
            told: What was told of one.
            whole: Whether the server has nothing that it did not tell: then the rest
                of what is kept of it is forgotten.

        Raises:
            StoreError: if the database refuses.
        """
        for patient in sorted({*patients, *(self.before if whole else ())}):
            yield self._keep_of(patient, told(patient), whole)

    def _keep_of(
        self, patient: PatientKey, told: Sequence[ConsentRecord], whole: bool
    ) -> ConsentChange:
        for _ in range(TRIES):
            change = self._plan(patient, told, whole)
            if change.is_empty:
                return change
            event = build_consent_event(
                self.clock(),
                patient.tenant,
                FHIR_SERVER,
                [change],
                {"server": self.server},
            )
            with suppress(ConsentsChanged):
                self.store.consents.record([change], event)
                return change
        raise ConsentsChanged("consents change faster than they are stored")

    def _plan(
        self, patient: PatientKey, told: Sequence[ConsentRecord], whole: bool
    ) -> ConsentChange:
        known = self.store.consents.of([patient])[patient]
        before = self.before.get(patient, NOTHING)
        forgotten = {id for id, *_ in before} - {each.id for each in known}
        newer = [
            each
            for each in known
            if each.source == FHIR_SERVER and not stamp_of([each]) <= before
        ]
        return plan_change(
            patient,
            known,
            [*(each for each in told if each.id not in forgotten), *newer],
            self.store.consents.lasting_alerts(patient),
            self.gate,
            self.clock(),
            whole_of=FHIR_SERVER if whole else "",
            sure=self.is_sure(patient),
        )
