"""Each resource of ours is at a FHIR server exactly once, whatever becomes of a call.

Where the server lets a resource be put under an id that it has not yet given, ours is
put: to repeat that is harmless. Elsewhere it is created on the condition that nothing
with its identifier is there. Since a server may still be at work on a call that we have
given up, what may be there is looked for, until the outbox says that it was for long
enough, before it is created again; and where it is there twice all the same, the newer
one is marked as an error.

Source: FHIR R4 "RESTful API", on conditional create and version-aware updates.
"""

from collections import OrderedDict
from collections.abc import Mapping
from enum import Enum
from threading import Lock
from typing import Any

from ..wearables.outputs.observations import ENTERED_IN_ERROR, taken_back
from .fhir_server import Abilities, Holding, OtherVersion, Stopped, WrittenServer
from .records import Declined, Later, Uncertain

REMEMBERED = 10_000
"""Resources that are kept in mind."""
_TRIES = 3

Resource = Mapping[str, Any]


class Doubt(Enum):
    """Whether a resource that nobody has noted may be there."""

    NONE = "none"
    FRESH = "fresh"
    """It may, and a search may not find it yet."""
    SETTLED = "settled"
    """It may, and a search finds it if it is."""


class OnceWriter:
    """Writes to one server; threads share it, one of them for a patient at a time."""

    def __init__(self, server: WrittenServer) -> None:
        self.server = server
        self._lock = Lock()
        self._there: OrderedDict[str, str] = OrderedDict()

    def write(
        self,
        resource: Resource,
        known: Holding | None,
        can: Abilities,
        ends: float,
        doubt: Doubt = Doubt.NONE,
    ) -> Holding:
        """Return a resource as it is kept.

        Args:
            known: As what it was kept before, if it was.
            doubt: Whether it may be there all the same.

        Raises:
            Stopped: if it is not kept, or may not be.
        """
        if known is not None:
            return self._renew(resource, known, ends)
        if can.by_id:
            return self._renew(resource, Holding(resource["id"]), ends)
        return self._create(resource, can, ends, doubt)

    def mark(self, kind: str, id: str, ends: float) -> None:
        """Mark what is kept under an id of the server's as an error. Raises Stopped."""
        for _ in range(_TRIES):
            there = self.server.read(kind, id, ends)
            if there is None or there.get("status") == ENTERED_IN_ERROR:
                return
            try:
                self.server.put(taken_back(there), ends, version_of(there))
                return
            except OtherVersion:
                continue
        raise Stopped(Later("Another client is changing it at the same time."))

    def mark_unknown(
        self, resource: Resource, can: Abilities, ends: float, doubt: Doubt
    ) -> None:
        """Mark what may be there as an error, if it is. Raises Stopped.

        Args:
            resource: Its type, id and identifier.
        """
        if can.by_id:
            self.mark(resource["resourceType"], resource["id"], ends)
            return
        found = self._find(resource, ends)
        for each in found:
            self.mark(resource["resourceType"], str(each["id"]), ends)
        if not found and doubt is not Doubt.SETTLED:
            message = "It may exist already, and will be looked for again."
            raise Stopped(Uncertain(message, looked=True))

    def ensure(self, resource: Resource, can: Abilities, ends: float) -> str:
        """Return the id under which a resource is there that never changes.

        Raises Stopped.
        """
        id = resource["id"]
        with self._lock:
            there = self._there.get(id, "")
        if not there:
            there = self._ensured(resource, can, ends)
            with self._lock:
                _keep(self._there, id, there)
        return there

    def _ensured(self, resource: Resource, can: Abilities, ends: float) -> str:
        kind, id = resource["resourceType"], resource["id"]
        if can.by_id:
            if self.server.read(kind, id, ends) is None:
                self._renew(resource, Holding(id), ends)
            return str(id)
        found = self._find(resource, ends)
        if found:
            return str(found[0]["id"])
        return self._create(resource, can, ends, Doubt.NONE).id

    def _create(
        self, resource: Resource, can: Abilities, ends: float, doubt: Doubt
    ) -> Holding:
        if doubt is not Doubt.NONE or not can.on_condition:
            found = self._find(resource, ends)
            if found:
                return self._keep_one(found, resource, ends)
        if doubt is Doubt.FRESH:
            message = "It may exist, is not found yet, and will be looked for again."
            raise Stopped(Uncertain(message, looked=True))
        try:
            query = query_of(resource) if can.on_condition else {}
            kept = self.server.create(resource, query, ends)
        except OtherVersion:
            found = self._find(resource, ends)
            if found:
                return self._keep_one(found, resource, ends)
            message = "It says that it exists, but no search finds it."
            raise Stopped(Uncertain(message)) from None
        if doubt is Doubt.SETTLED and len(found := self._find(resource, ends)) > 1:
            return self._keep_one(found, resource, ends)
        return kept if kept.new else self._renew(resource, kept, ends)

    def _renew(self, resource: Resource, known: Holding, ends: float) -> Holding:
        """Put it in the place of what is there under an id of the server's."""
        told, version = {**resource, "id": known.id}, known.version
        for _ in range(_TRIES):
            try:
                kept = self.server.put(told, ends, version)
            except OtherVersion:
                there = self.server.read(told["resourceType"], known.id, ends)
                version = version_of(there or {})
                continue
            if kept is None:
                raise Stopped(Declined("The server has deleted what is to be revised."))
            return kept
        raise Stopped(Later("Another client is changing it at the same time."))

    def _keep_one(
        self, found: list[Resource], resource: Resource, ends: float
    ) -> Holding:
        """Of several that are the same thing the oldest stays, and says what holds."""
        good = [each for each in found if each.get("status") != ENTERED_IN_ERROR]
        first = (good or found)[0]
        for each in good[1:]:
            self.mark(resource["resourceType"], str(each["id"]), ends)
        return self._renew(resource, Holding(str(first["id"]), version_of(first)), ends)

    def _find(self, resource: Resource, ends: float) -> list[Resource]:
        return self.server.find(resource["resourceType"], query_of(resource), ends)


def query_of(resource: Resource) -> dict[str, str]:
    """Return the search that finds a resource of ours by its identifier."""
    identifier = resource["identifier"][0]
    return {"identifier": f"{identifier['system']}|{identifier['value']}"}


def version_of(resource: Resource) -> str:
    """Return which version a resource is; empty where it does not say."""
    meta = resource.get("meta")
    told = meta.get("versionId") if isinstance(meta, Mapping) else ""
    return str(told or "")


def _keep(held: OrderedDict[str, Any], key: str, value: Any) -> None:
    held[key] = value
    while len(held) > REMEMBERED:
        held.popitem(last=False)
