"""Pseudonyms: what patients are called in the headers of audit rows.

Each patient has a key, made of chance; the pseudonym is a digest under it. Once the key
is gone nobody can tell whose rows they are, or that a name is among them.
"""

import secrets
import time

from sqlalchemy import Connection

from ...wearables.records import PatientKey
from ..database import Database
from ..statements import ADD_PATIENT_KEY, KEY_OF_PATIENT
from .chain import pseudonym

REMEMBERED = 10_000
"""Patients whose pseudonyms a process remembers."""
SECONDS = 60.0
"""For how long; a key may be removed by another process."""


class Pseudonyms:
    """The pseudonyms of the patients of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[PatientKey, tuple[float, str]] = {}

    def of(self, patient: PatientKey) -> str:
        """Return the patient's pseudonym; one who has no key gets one.

        Raises:
            StoreError: if the key can neither be read nor stored.
        """
        now = time.monotonic()
        until, known = self._known.get(patient, (0.0, ""))
        if now < until:
            return known
        key = self._database.read(lambda connection: read_key(connection, patient))
        if key is None:
            key = self._database.write(lambda each: _make_key(each, patient))
        made = pseudonym(patient, key)
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[patient] = (now + SECONDS, made)
        return made


def read_key(connection: Connection, patient: PatientKey) -> str | None:
    """Return the patient's key; None where there is none."""
    found = KEY_OF_PATIENT.ask(connection, patient._asdict())
    return str(found[0].key) if found else None


def _make_key(connection: Connection, patient: PatientKey) -> str:
    """A key for a patient who had none, unless another process was faster."""
    ADD_PATIENT_KEY.run(connection, {**patient._asdict(), "key": secrets.token_hex(32)})
    key = read_key(connection, patient)
    assert key is not None
    return key
