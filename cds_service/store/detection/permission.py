"""Of which times a patient permits the use of what was measured."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection

from ...wearables.consent import Consent, ConsentAction, data_limits
from ...wearables.consent_gate import ConsentGate
from ...wearables.records import PatientKey
from ...wearables.samples import microseconds
from .. import consents
from ..samples.rows import moment
from .records import Span


class UsePermission:
    """What one patient permits now.

    Between two moments that their Consents name nothing changes, so that few questions
    are asked of many readings.
    """

    def __init__(
        self, gate: ConsentGate, consents: Sequence[Consent], now: datetime
    ) -> None:
        self._gate, self._consents, self._now = gate, consents, now
        self._limits = sorted({microseconds(each) for each in data_limits(consents)})
        self._known: dict[tuple[str, int], bool] = {}

    @classmethod
    def read(
        cls,
        connection: Connection,
        patient: PatientKey,
        gate: ConsentGate,
        now: datetime,
    ) -> "UsePermission":
        """Return what a patient permits, by the Consents that are kept."""
        known = consents.read(connection, [patient])[patient]
        return cls(gate, gate.read(known), now)

    def holds(self, metric: str, at_us: int) -> bool:
        """Check whether a metric of that moment may be used."""
        place = bisect_right(self._limits, at_us)
        known = self._known.get((metric, place))
        if known is None:
            at = moment(self._limits[place - 1]) if place else _BEFORE
            known = self._known[metric, place] = self._gate.permits_reading(
                ConsentAction.USE, metric, at, self._consents, self._now
            )
        return known

    def spans(self, metric: str, span: Span) -> Iterator[Span]:
        """Yield the parts of a time of which a metric may be used, both ends theirs."""
        return (each for each in self._parts(span) if self.holds(metric, each[0]))

    def denied(self, metric: str, span: Span) -> Iterator[Span]:
        """Yield the parts of a time of which it may not."""
        return (each for each in self._parts(span) if not self.holds(metric, each[0]))

    def _parts(self, span: Span) -> Iterator[Span]:
        """A time, cut where what is permitted may change."""
        first, last = span
        inside = [each for each in self._limits if first < each <= last]
        yield from zip([first, *inside], [*(each - 1 for each in inside), last])


_BEFORE = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
