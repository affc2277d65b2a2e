"""What a FHIR server told of Consents, stored patient by patient.

Pages take minutes, and meanwhile calls and webhooks go on telling. What came after the
reading began is newer than a page that may lack it: it is neither forgotten nor told
again by an older page. Where something may not have come, no new permission is stored:
what is missing may deny it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from ..audit import build_consent_event
from ..ingestion import TRIES
from ..store.records import ConsentsChanged
from ..store.store import Store
from ..wearables.consent import FHIR_SERVER, ConsentRecord
from ..wearables.consent_gate import (
    ConsentChange,
    ConsentGate,
    Stamp,
    plan_change,
    stamp_of,
)
from ..wearables.records import PatientKey

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
        """What changes of each patient, each stored before the next is looked at.

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
