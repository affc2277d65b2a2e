"""Telling an integration engine of episodes and days by ORU^R01 over MLLP.

A telling has one control id, however often it is tried, so that whoever has had it
knows it again. What was told is noted beside that id, for when it is taken back. Where
nobody knows whether a first telling arrived, it is repeated under its id before it is
corrected, so that no engine has a second result or corrects what it has not.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ..config.destinations import Hl7Destination
from ..wearables.metrics import Catalogue
from ..wearables.outputs.belongings import device_named
from ..wearables.outputs.contents import BANDS
from ..wearables.outputs.naming import OBSERVATION, Naming
from ..wearables.outputs.observations import (
    FINAL,
    OutputFrame,
    day_observations,
    episode_observation,
)
from ..wearables.outputs.oru import (
    Engine,
    OruReport,
    OruResult,
    build_message,
    build_report,
    control_id,
    read_noted,
)
from ..wearables.records import WearableAlert
from ..wearables.telling import PatientIdentity, PriorTelling, Telling, ToldAs
from .mllp import MllpClient, NotAnswered, NotSent, open_context
from .records import LONGEST_PROBLEM, Accepted, Declined, Later, Reply, Uncertain

TAKEN, AGAIN, REFUSED = ("AA", "CA"), ("AE", "CE"), ("AR", "CR")
"""MSA-1. Source: table 0008."""
NO_NUMBER = "The patient's link has no hospital number (mrn)."
NOTHING = "Nothing of it is sent: see outputs.yaml and `days`."
NEVER_TOLD = "It was never sent."
NOBODY_KNOWS = (
    "It may have been sent, and no longer exists here: check at the receiver."
)


@dataclass(slots=True)
class Hl7Sender:
    """Tells one engine; threads share it."""

    configured: Hl7Destination
    catalogue: Callable[[], Catalogue]
    naming: Naming
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _client: MllpClient = field(init=False)
    _engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        """Open nothing yet. Raises OSError if a file of TLS cannot be used."""
        told = self.configured
        context = None
        if told.tls is not None:
            tls = told.tls
            context = open_context(tls.ca_file, tls.cert_file, tls.key_file)
        self._client = MllpClient(told.host, told.port, told.reach, context)
        self._engine = Engine(
            told.version,
            (told.sending_application, told.sending_facility),
            (told.receiving_application, told.receiving_facility),
            told.coding,
            told.processing,
            told.mode == "enhanced",
        )

    @property
    def id(self) -> str:
        """As the clients file calls it."""
        return self.configured.id

    def close(self) -> None:
        """Let go of its connections."""
        self._client.close()

    def send(self, telling: Telling, deadline: float) -> Reply:
        """Tell it, and return what became of that."""
        if telling.retracts:
            return self._take_back(telling, deadline)
        if not telling.identity.mrn:
            return Declined(NO_NUMBER)
        report = self._report(telling)
        if report is None:
            return Declined(NOTHING)
        prior, before = telling.prior, None
        if prior is not None:
            before, *whose = read_noted(prior.remote)
            if whose != [telling.identity.mrn, telling.identity.authority]:
                return self._move(telling, report, deadline)
            if _still_holds(telling, report.digest):
                return Accepted(prior.remote, report.digest, prior.status)
        elif 0 < telling.begun < telling.rev:
            return self._correct(telling, report, deadline)
        return self._tell(telling, report, _gone(before, report), deadline)

    def _correct(self, telling: Telling, report: OruReport, deadline: float) -> Reply:
        """Correct a first telling that may have arrived, once it surely has.

        An engine that refuses to have it again may yet take the correction.
        """
        first = self._tell(replace(telling, rev=telling.begun), report, (), deadline)
        if isinstance(first, Later | Uncertain):
            return first
        prior = PriorTelling(telling.begun, "", ToldAs.FINAL, "")
        return self._tell(replace(telling, prior=prior), report, (), deadline)

    def _take_back(self, telling: Telling, deadline: float) -> Reply:
        """Take it back from whom it was told of, whoever that is by now."""
        report, whose = self._held(telling)
        if report is None:
            return Declined(NOBODY_KNOWS if telling.uncertain else NEVER_TOLD)
        if not whose.mrn:
            return Declined(NO_NUMBER)
        return self._tell(replace(telling, identity=whose), report, (), deadline)

    def _held(self, telling: Telling) -> tuple[OruReport | None, PatientIdentity]:
        """What the engine has of a thing, or may have, and of whom."""
        whose, before = telling.identity, None
        if telling.prior is not None:
            before, mrn, authority = read_noted(telling.prior.remote)
            whose = replace(whose, mrn=mrn, authority=authority)
        if not telling.uncertain or telling.thing is None:
            return before, whose
        report = self._report(telling)
        if report is None or before is None:
            return report or before, whose
        more = _gone(report, before)
        return replace(before, results=(*before.results, *more)), whose

    def _move(self, telling: Telling, report: OruReport, deadline: float) -> Reply:
        """Tell it of another number, after it is taken back from the one before."""
        prior = telling.prior
        if prior is not None and prior.status is not ToldAs.ENTERED_IN_ERROR:
            reply = self._take_back(replace(telling, thing=None), deadline)
            if not isinstance(reply, Accepted):
                return reply
        return self._tell(replace(telling, prior=None), report, (), deadline)

    def _tell(
        self,
        telling: Telling,
        report: OruReport,
        gone: Sequence[OruResult],
        deadline: float,
    ) -> Reply:
        names = (*telling.identity.patient, telling.kind, telling.key)
        control = control_id(self.id, *names, str(telling.rev), telling.status)
        try:
            text = build_message(
                report,
                telling.status,
                telling.identity,
                self._engine,
                control,
                self.clock(),
                gone,
            )
        except ValueError as error:
            return Declined(f"The message is {error}.")
        ends = min(deadline, time.monotonic() + self.configured.ack_seconds)
        try:
            told = self._client.ask(text.encode(), control, ends)
        except NotSent as error:
            return Later(str(error))
        except NotAnswered as error:
            return Uncertain(str(error))
        if told.code in TAKEN:
            remote = report.noted(control, telling.identity)
            return Accepted(remote, report.digest, telling.status)
        words = f"{told.code}: {told.text}"[:LONGEST_PROBLEM].rstrip(": ")
        if told.code in AGAIN:
            return Later(f"It answered {told.code}.")
        if told.code in REFUSED:
            return Declined(words)
        return Uncertain("Its acknowledgement has no known code.")

    def _report(self, telling: Telling) -> OruReport | None:
        thing = telling.thing
        assert thing is not None
        frame = OutputFrame(telling.identity.patient, self.naming, self.catalogue())
        names = (telling.kind, telling.key)
        told: list[Mapping[str, Any]]
        if isinstance(thing, WearableAlert):
            told = [episode_observation(thing, names, FINAL, frame)]
        else:
            days = day_observations(thing, names, FINAL, frame, self.clock())
            told = [
                it for value, it in days.items() if self._takes(thing.metric, value)
            ]
        order = self.naming.id(telling.identity.patient, OBSERVATION, *names)
        return build_report(
            order.replace("-", "")[:20], told, device_named(thing), self._engine.coding
        )

    def _takes(self, metric: str, value: str) -> bool:
        """Whether it is told this value of the days of a metric."""
        days = self.configured.takes.days
        wanted = next((each.statistics for each in days if each.metric == metric), ())
        shares = value == BANDS and any(each.startswith("band:") for each in wanted)
        return not wanted or value in wanted or shares


def _still_holds(telling: Telling, digest: str) -> bool:
    """Whether the engine has just that, and surely has it."""
    prior = telling.prior
    return (
        prior is not None
        and not telling.uncertain
        and prior.status is not ToldAs.ENTERED_IN_ERROR
        and prior.digest == digest
    )


def _gone(before: OruReport | None, report: OruReport) -> tuple[OruResult, ...]:
    """What was told, and is told no more."""
    if before is None:
        return ()
    there = {(each.code, each.part) for each in report.results}
    return tuple(each for each in before.results if (each.code, each.part) not in there)
