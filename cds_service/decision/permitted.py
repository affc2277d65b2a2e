"""What of one patient's wearables their Consents permit, item by item. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from types import MappingProxyType
from typing import TypeVar
from zoneinfo import ZoneInfo

from ..wearables.consent import Consent, ConsentAction, data_limits
from ..wearables.consent_gate import ConsentGate
from ..wearables.detection.detectors import Detector
from ..wearables.detection.episodes import DayTally
from ..wearables.records import WearableAlert
from ..wearables.summaries import DaySummary
from ..wearables.worn import AgreedStream, Wearables

Item = WearableAlert | DaySummary | AgreedStream | DayTally
Detectors = Mapping[str, Detector]
NO_DETECTORS: Detectors = MappingProxyType({})
_ONE = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_Kept = TypeVar("_Kept", bound=Item)


@dataclass(frozen=True, slots=True)
class CallPermission:
    """What a patient's Consents permit of what wearables told."""

    gate: ConsentGate
    consents: Sequence[Consent]
    now: datetime
    detectors: Detectors
    """Of which something is told that was not judged."""
    _limits: list[datetime] = field(init=False, compare=False)
    _known: dict[tuple[object, ...], bool] = field(
        default_factory=dict, init=False, compare=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "_limits", sorted({*data_limits(self.consents)}))

    def may(self, action: ConsentAction, item: Item) -> bool:
        """Check whether this is permitted of an item, at both ends of its time."""
        if isinstance(item, WearableAlert):
            return self._may_alert(action, item)
        return all(
            self.gate.permits_reading(each, metric, at, self.consents, self.now)
            for each, metric, at in self._asked(action, item)
        )

    def _may_alert(self, action: ConsentAction, alert: WearableAlert) -> bool:
        """Between two times that Consents name, all of one type are as the first."""
        at, limits = alert.start, self._limits
        key = action, alert.type, bisect_left(limits, at), bisect_right(limits, at)
        known = self._known.get(key)
        if known is None:
            known = self.gate.permits(action, alert, self.consents, self.now)
            self._known[key] = known
        return known

    def used(self, worn: Wearables) -> Wearables:
        """Return what of all that wearables told may be used."""
        return replace(
            worn,
            alerts=worn.alerts
            and tuple(e for e in worn.alerts if self._may_alert(ConsentAction.USE, e)),
            days=self._kept(worn.days),
            streams=self._kept(worn.streams),
            tallies=self._kept(worn.tallies),
        )

    def _kept(self, items: tuple[_Kept, ...] | None) -> tuple[_Kept, ...] | None:
        return items and tuple(e for e in items if self.may(ConsentAction.USE, e))

    def _asked(
        self, action: ConsentAction, item: DaySummary | AgreedStream | DayTally
    ) -> Iterator[tuple[ConsentAction, str, datetime]]:
        """Yield what is asked of which metric at which time."""
        if isinstance(item, AgreedStream):
            yield action, item.metric, self.now
            # What may not be collected is silent because of that.
            yield ConsentAction.COLLECT, item.metric, self.now
        elif isinstance(item, DaySummary):
            zone = ZoneInfo(item.zone) if item.zone else self.gate.zone
            begin, end = _bounds(item.day, zone)
            for at in (item.first or begin, item.last or end):
                yield action, item.metric, at
        else:
            metric = self.detectors[item.detector].metric
            for at in _bounds(item.day, self.gate.zone):
                yield action, metric, at


def unread(worn: Wearables) -> Wearables:
    """Return it as it is where nobody knows what may be used; none stays none."""
    return Wearables(
        None if worn.alerts else worn.alerts,
        None if worn.days else worn.days,
        None if worn.streams else worn.streams,
        None if worn.tallies else worn.tallies,
        worn.whole,
    )


def items_of(worn: Wearables) -> tuple[Item, ...]:
    """Return all that is known of what wearables told."""
    parts = (worn.alerts, worn.days, worn.streams, worn.tallies)
    return tuple(each for part in parts if part for each in part)


def _bounds(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """When a civil day begins, and its last second."""
    begin, end = (datetime.combine(each, time(), zone) for each in (day, day + _ONE))
    return begin.astimezone(UTC), end.astimezone(UTC) - _SECOND
