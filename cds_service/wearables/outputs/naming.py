"""The ids and identifiers of what leaves: of the same thing always the same. Pure.

An id is a UUID over this server's name, the patient and the thing. The other side so
knows a second telling for what it is, and nobody who reads its log or an address learns
from it whose it is or what was measured.

Source: RFC 9562 section 5.5 (UUID version 5).
"""

import json
from dataclasses import dataclass
from uuid import NAMESPACE_URL, UUID, uuid5

from ..records import PatientKey

OBSERVATION, DEVICE, PROVENANCE = "observation", "device", "provenance"
ALERT_TYPE, SOURCE = "alert-type", "source"


@dataclass(frozen=True, slots=True)
class Naming:
    """How one server calls what it sends."""

    namespace: str
    """Its public address without a slash at the end, or ``urn:uuid:`` and a UUID."""

    def system(self, kind: str) -> str:
        """Return the system of identifiers and codes of a kind."""
        if self.namespace.startswith("urn:"):
            return f"urn:uuid:{uuid5(self._space, kind)}"
        return f"{self.namespace}/{kind}"

    def id(self, patient: PatientKey, kind: str, *names: str) -> str:
        """Return the id of a thing of a patient, by what tells it from all others."""
        return str(uuid5(self._space, json.dumps([*patient, kind, *names])))

    def identifier(self, kind: str, id: str) -> dict[str, str]:
        """Return the Identifier by which a resource of ours is found again."""
        return {"system": self.system(kind), "value": id}

    @property
    def itself(self) -> dict[str, str]:
        """The Identifier of this server."""
        return {"system": "urn:ietf:rfc:3986", "value": self.namespace}

    @property
    def _space(self) -> UUID:
        return uuid5(NAMESPACE_URL, self.namespace)
