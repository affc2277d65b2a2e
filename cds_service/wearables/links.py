"""Links: whose wrist it is, of a user or a device of a source, from when to when. Pure.

A vendor's account may have the watches of two people, and a watch goes from one to the
next. So a link may name the user, the device, or both, and what says more goes first;
it holds from one moment to before another, and a reading is looked up by its start.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from .records import PatientKey


@dataclass(frozen=True, slots=True)
class WearerLink:
    """One user or device of a source, and the patient who wears it."""

    source: str
    patient: PatientKey
    since: datetime
    """Aware."""
    user: str = ""
    """Of the source's own; empty for whoever wears the device."""
    device: str = ""
    """As the source calls it; empty for any of the user."""
    until: datetime | None = None
    """When it has ended, or will; None while nobody knows."""
    mrn: str = ""
    """The hospital's number of the patient."""
    authority: str = ""
    """Whose number that is."""
    time_zone: str = ""
    """An IANA name: where the wearer's clock is, if the source does not tell."""
    grouping: timedelta | None = None
    """Over how long the source takes a mean, where it does not tell that itself."""
    id: int = 0
    """Given by the store."""
    retracted: datetime | None = None
    """When it turned out to have been wrong all along."""

    @property
    def tenant(self) -> str:
        """Whose patients it is about."""
        return self.patient.tenant

    def holds(self, at: datetime) -> bool:
        """Check whether what was measured at that moment is the patient's."""
        ended = self.until is not None and at >= self.until
        return self.retracted is None and self.since <= at and not ended

    def names(self, user: str, device: str) -> bool:
        """Check whether it is about a user with a device."""
        named = self.user or self.device
        return bool(named) and self.user in ("", user) and self.device in ("", device)

    def meets(self, other: "WearerLink") -> bool:
        """Check whether both name the same, and hold at one moment."""
        same = (self.tenant, self.source, self.user, self.device) == (
            *(other.tenant, other.source, other.user, other.device),
        )
        apart = _ends_before(self, other) or _ends_before(other, self)
        return same and not apart and self.retracted is other.retracted is None


def resolve(
    links: Iterable[WearerLink], user: str, device: str, at: datetime
) -> WearerLink | None:
    """Return the link that says whose reading it is; None if none does.

    Args:
        links: Of one source.
        at: When it was measured.
    """
    found = [each for each in links if each.names(user, device) and each.holds(at)]
    return max(found, key=_detail, default=None)


def _detail(link: WearerLink) -> tuple[bool, bool]:
    """How much it says: a device tells more than the account it belongs to."""
    return bool(link.device), bool(link.user)


def _ends_before(link: WearerLink, other: WearerLink) -> bool:
    return link.until is not None and link.until <= other.since
