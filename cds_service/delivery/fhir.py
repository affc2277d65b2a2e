"""Telling a FHIR server of episodes and days: what is told of each, under which ids.

An episode is one Observation; a day is one of each of its values that are told. What
the server calls each, which version of it is there and what it was told is noted with
the telling, so that the next one changes only what is otherwise.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from ..fhir.models import check_resource
from ..wearables.metrics import Catalogue
from ..wearables.outputs.belongings import (
    device_named,
    device_resource,
    provenance_resource,
)
from ..wearables.outputs.contents import BANDS
from ..wearables.outputs.naming import OBSERVATION, Naming
from ..wearables.outputs.observations import (
    EVENT,
    FINAL,
    OutputFrame,
    day_observations,
    episode_observation,
    observation_id,
)
from ..wearables.records import WearableAlert
from ..wearables.telling import EPISODE, TakenDay, Telling, ToldAs, split_key
from .fhir_server import Abilities, Holding, Stopped
from .fhir_writing import Doubt, OnceWriter
from .records import Accepted, Declined, Later, Reply, Uncertain

ABILITIES_KEPT = 3600.0
"""Seconds for which it is known what a server can do."""
PROVENANCE = "provenance"
"""Beside the values of a thing, in what is noted of it."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Noted:
    """One resource as the server holds it, and what it was told."""

    id: str
    """The server's."""
    version: str = ""
    digest: str = ""


def read_remote(text: str) -> dict[str, Noted]:
    """Return what was noted of a thing, by value."""
    told: Mapping[str, Sequence[str]] = json.loads(text) if text else {}
    return {value: Noted(*each) for value, each in told.items()}


def write_remote(held: Mapping[str, Noted]) -> str:
    """Return what is noted of a thing."""
    told = {value: [it.id, it.version, it.digest] for value, it in held.items()}
    return json.dumps(told, sort_keys=True, separators=(",", ":"))


class FhirSender:
    """Tells one FHIR server; threads share it."""

    def __init__(
        self,
        id: str,
        writer: OnceWriter,
        catalogue: Callable[[], Catalogue],
        naming: Naming,
        *,
        write: str = "auto",
        days: Sequence[TakenDay] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        log: Callable[..., object] = lambda event, **facts: None,
        close: Callable[[], object] = lambda: None,
    ) -> None:
        """*write* is ``put``, ``conditional``, or ``auto``: as the server says."""
        self._id = id
        self.writer = writer
        self.catalogue = catalogue
        self.naming = naming
        self.clock = clock
        self._write = write
        self._days = {each.metric: each.statistics for each in days}
        self._log = log
        self._close = close
        self._lock = Lock()
        self._abilities: tuple[float, Abilities] | None = None
        self._complained: set[str] = set()

    @property
    def id(self) -> str:
        """As the clients file calls it."""
        return self._id

    def close(self) -> None:
        """Let go of its connections."""
        self._close()

    def send(self, telling: Telling, deadline: float) -> Reply:
        """Tell it, and return what became of that."""
        try:
            return _Turn(self, telling, deadline).run()
        except Stopped as stopped:
            return stopped.reply

    def abilities(self, ends: float) -> Abilities:
        """Return what the server can do, asked once in a while. Raises Stopped."""
        with self._lock:
            known = self._abilities
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        found = self.writer.server.abilities(ends)
        if self._write != "auto":
            found = replace(found or Abilities(), by_id=self._write == "put")
        elif found is None:
            message = "It does not say what it can do; write: put or write: conditional"
            raise Stopped(Later(f"{message} says it of the destination."))
        with self._lock:
            self._abilities = time.monotonic() + ABILITIES_KEPT, found
        return found

    def takes(self, metric: str, value: str) -> bool:
        """Check whether it is told this value of the days of a metric."""
        wanted = self._days.get(metric, ())
        shares = value == BANDS and any(each.startswith("band:") for each in wanted)
        return not wanted or value in wanted or shares

    def complain(self, kind: str, problem: str) -> None:
        """Log once that the server takes no resources of a kind."""
        with self._lock:
            new = kind not in self._complained
            self._complained.add(kind)
        if new:
            facts = {"destination": self._id, "kind": kind, "problem": problem}
            self._log("resource type not accepted", level="warning", **facts)


class _Turn:
    """One telling, from what is kept of the thing to what the server holds of it."""

    def __init__(self, sender: FhirSender, telling: Telling, ends: float) -> None:
        self._sender = sender
        self._telling = telling
        self._ends = ends
        self._names = (telling.kind, telling.key)
        self._frame = OutputFrame(
            telling.identity.patient, sender.naming, sender.catalogue()
        )
        self._can = sender.abilities(ends)
        self._doubt = Doubt.NONE
        if telling.uncertain:
            self._doubt = Doubt.SETTLED if telling.settled else Doubt.FRESH
        self._wrote = False

    def run(self) -> Reply:
        """Return what became of it. Raises Stopped."""
        prior = self._telling.prior
        known = read_remote(prior.remote) if prior else {}
        if self._telling.retracts:
            return self._take_back(known)
        try:
            return self._tell(known)
        except Stopped as stopped:
            if self._wrote and isinstance(stopped.reply, Later):
                # Part of it is there, and nobody has noted under which id.
                raise Stopped(Uncertain(stopped.reply.problem)) from None
            raise

    def _tell(self, known: dict[str, Noted]) -> Reply:
        thing, prior = self._telling.thing, self._telling.prior
        assert thing is not None
        name = device_named(thing)
        self._frame = replace(self._frame, device={"display": name} if name else {})
        digests = {value: _digest(it) for value, it in self._observations().items()}
        if not digests and not known:
            return Declined("Nothing of it is sent: see outputs.yaml and `days`.")
        stands = prior is not None and prior.status is not ToldAs.ENTERED_IN_ERROR
        fresh = stands and not self._telling.uncertain
        changed = {
            value
            for value, digest in digests.items()
            if not fresh or value not in known or known[value].digest != digest
        }
        gone = known.keys() - digests.keys() - {PROVENANCE}
        if changed and name:
            self._frame = replace(self._frame, device=self._device(name))
        held = {value: known[value] for value in digests.keys() - changed}
        for value, resource in self._observations().items():
            if value in changed:
                held[value] = self._write(value, resource, known, digests[value])
        for value in sorted(gone):
            self._sender.writer.mark("Observation", known[value].id, self._ends)
        held |= self._provenance(held, known)
        status = self._telling.status if changed or gone or not prior else prior.status
        return Accepted(write_remote(held), _digest(digests), status)

    def _write(
        self, value: str, resource: Json, known: Mapping[str, Noted], digest: str
    ) -> Noted:
        before = known.get(value)
        told = resource if before else {**resource, "status": FINAL}
        problems = check_resource(told)
        if problems:
            raise Stopped(Declined(f"It would not be valid FHIR: {problems[0]}"))
        version = "" if self._telling.uncertain or not before else before.version
        kept = self._sender.writer.write(
            told,
            Holding(before.id, version) if before else None,
            self._can,
            self._ends,
            self._doubt,
        )
        self._wrote = True
        return Noted(kept.id, kept.version, digest)

    def _observations(self) -> dict[str, Json]:
        thing, status = self._telling.thing, self._telling.status
        if isinstance(thing, WearableAlert):
            told = episode_observation(thing, self._names, status, self._frame)
            return {EVENT: told}
        assert thing is not None
        now = self._sender.clock()
        found = day_observations(thing, self._names, status, self._frame, now)
        return {
            value: each
            for value, each in found.items()
            if self._sender.takes(thing.metric, value)
        }

    def _take_back(self, known: dict[str, Noted]) -> Reply:
        for value, each in known.items():
            if value != PROVENANCE:
                self._sender.writer.mark("Observation", each.id, self._ends)
        if self._telling.uncertain:
            for value in self._values() - known.keys():
                id = observation_id((*self._names, value), self._frame)
                may_be = {
                    "resourceType": "Observation",
                    "id": id,
                    "identifier": [self._sender.naming.identifier(OBSERVATION, id)],
                }
                self._sender.writer.mark_unknown(
                    may_be, self._can, self._ends, self._doubt
                )
        return Accepted(write_remote(known), "", ToldAs.ENTERED_IN_ERROR)

    def _values(self) -> set[str]:
        """The values of which the thing may have Observations."""
        if self._telling.kind == EPISODE:
            return {EVENT}
        metric = split_key(self._telling.key, 3)[0]
        told = self._frame.outputs.metrics.get(metric)
        return {each.value for each in told.days} if told else set()

    def _device(self, name: str) -> Json:
        """A Reference to the Device, which only displays a name where there is none."""
        shown = {"display": name}
        if "Device" not in self._can.kinds:
            return shown
        device = device_resource(name, self._frame)
        try:
            id = self._sender.writer.ensure(device, self._can, self._ends)
        except Stopped as stopped:
            if not isinstance(stopped.reply, Declined):
                raise
            self._sender.complain("Device", stopped.reply.problem)
            return shown
        return {"reference": f"Device/{id}", **shown}

    def _provenance(
        self, held: Mapping[str, Noted], known: Mapping[str, Noted]
    ) -> dict[str, Noted]:
        """Where it comes from, written once with the first telling of a thing."""
        if PROVENANCE in known:
            return {PROVENANCE: known[PROVENANCE]}
        if "Provenance" not in self._can.kinds or not held:
            return {}
        thing = self._telling.thing
        assert thing is not None
        targets = [f"Observation/{held[value].id}" for value in sorted(held)]
        now = self._sender.clock()
        told = provenance_resource(thing, self._names, targets, self._frame, now)
        try:
            return {PROVENANCE: Noted(self._written_provenance(told, targets[0]))}
        except Stopped as stopped:
            if not isinstance(stopped.reply, Declined):
                raise
            self._sender.complain("Provenance", stopped.reply.problem)
            return {}

    def _written_provenance(self, told: Json, target: str) -> str:
        writer, server = self._sender.writer, self._sender.writer.server
        if self._can.by_id:
            known = Holding(told["id"])
            return writer.write(told, known, self._can, self._ends).id
        found = server.find("Provenance", {"target": target}, self._ends)
        if found:
            return str(found[0]["id"])
        return server.create(told, {}, self._ends).id


def _digest(told: Mapping[str, Any]) -> str:
    """What tells one telling from another, whatever its status."""
    said = {name: each for name, each in told.items() if name != "status"}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
