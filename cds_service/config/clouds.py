"""Clouds: the vendors from whom wearers' data are fetched, in the clients file."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StrictInt

from ..connect.vendors.records import DataKind, Vendor
from ..connect.vendors.registry import VENDORS
from ..http.addresses import Reach
from ..rulebook.language import suggest
from .fields import (
    Entry,
    FhirBase,
    FhirUrl,
    Name,
    Text,
    ZoneName,
    read_beside,
    read_one_secret,
)
from .problems import Path as FieldPath
from .problems import Reporter
from .proofs import ProofKind, fault_of_secret

DAYS_AGAIN = 2
"""What a watch had kept to itself comes to its vendor a day late, or two."""
DAYS_BEFORE = 7
NOTIFYING = ("google-health", "oura", "withings")
"""Vendors that tell when there is something to fetch."""
GOOGLE_KEYS = (
    "https://www.gstatic.com/googlehealthapi/webhooks/webhooks_public_keyset.json"
)


def _vendor(name: str) -> str:
    if name in VENDORS:
        return name
    raise ValueError(f"no such vendor; {suggest(name, VENDORS)}".rstrip("; "))


class NotificationsEntry(Entry):
    """How the vendor proves that a notification is its own."""

    secrets_file: Text
    """What was agreed with the vendor, one a line; relative to the clients file."""
    keys: FhirUrl = GOOGLE_KEYS
    """Where the vendor publishes the keys that it signs with, if it does."""


class CloudEntry(Entry):
    """One vendor's cloud."""

    id: Name
    tenant: Name = "default"
    fhir_base: FhirBase = "-"
    vendor: Annotated[str, AfterValidator(_vendor)]
    client_id: Text
    """Who we are at the vendor."""
    client_secret_file: Text
    """One line; relative to the clients file."""
    kinds: tuple[Name, ...] = ()
    """Of data that are asked for; all that the vendor has where none is named."""
    time_zone: ZoneName = ""
    """Of wearers whose link names none."""
    days_again: Annotated[StrictInt, Field(ge=0, le=30)] = DAYS_AGAIN
    """Days that are fetched once more with each pull."""
    days_before: Annotated[StrictInt, Field(ge=0, le=400)] = DAYS_BEFORE
    """Days that the first pull goes back."""
    notifications: NotificationsEntry | None = None
    simulated: FhirUrl | None = None
    """The base of a vendor that is played; only in development."""


@dataclass(frozen=True, slots=True)
class Notifications:
    """How the vendor proves that a notification is its own."""

    secrets: tuple[str, ...] = field(repr=False)
    """Any of them is good, so that they can be changed one by one."""
    keys: str = GOOGLE_KEYS


@dataclass(frozen=True, slots=True)
class Cloud:
    """A vendor's cloud as a site uses it. It is a source of readings under its id."""

    id: str
    tenant: str
    fhir_base: str
    vendor_name: str
    client_id: str
    client_secret: str = field(repr=False)
    kind_names: tuple[str, ...] = ()
    time_zone: str = ""
    days_again: int = DAYS_AGAIN
    days_before: int = DAYS_BEFORE
    notifications: Notifications | None = None
    """None where the vendor is not to notify."""
    simulated: str = ""

    @property
    def vendor(self) -> Vendor:
        """The vendor; one that is played is at its own base."""
        known = VENDORS[self.vendor_name]
        if not self.simulated:
            return known
        return replace(
            known,
            authorize_url=_moved(known.authorize_url, self.simulated),
            token_url=_moved(known.token_url, self.simulated),
            revoke_url=_moved(known.revoke_url, self.simulated),
            api=_moved(known.api, self.simulated),
        )

    @property
    def kinds(self) -> tuple[DataKind, ...]:
        """The kinds of data that are asked for."""
        named = self.kind_names
        return tuple(e for e in self.vendor.kinds if not named or e.name in named)

    @property
    def reach(self) -> Reach:
        """How far inside the vendor's addresses may lie."""
        return Reach.LOCAL if self.simulated else Reach.PUBLIC


def load_clouds(
    entries: Sequence[CloudEntry], folder: Path, development: bool, reporter: Reporter
) -> tuple[Cloud, ...]:
    """Return the clouds, checked; problems go to the reporter.

    Args:
        folder: Of the clients file.
    """
    return tuple(
        _load(entry, ("clouds", index), folder, development, reporter)
        for index, entry in enumerate(entries)
    )


def _load(
    entry: CloudEntry,
    path: FieldPath,
    folder: Path,
    development: bool,
    reporter: Reporter,
) -> Cloud:
    if entry.simulated and not development:
        reporter.add((*path, "simulated"), "only in development")
    known = [each.name for each in VENDORS[entry.vendor].kinds]
    for number, name in enumerate(entry.kinds):
        if name not in known:
            message = f"{entry.vendor} has no such kind of data; {suggest(name, known)}"
            reporter.add((*path, "kinds", number), message.rstrip("; "))
    return Cloud(
        entry.id,
        entry.tenant,
        entry.fhir_base,
        entry.vendor,
        entry.client_id,
        read_one_secret(
            folder, entry.client_secret_file, (*path, "client_secret_file"), reporter
        ),
        entry.kinds,
        entry.time_zone,
        entry.days_again,
        entry.days_before,
        _notifications(entry, path, folder, reporter),
        (entry.simulated or "").rstrip("/"),
    )


def _notifications(
    entry: CloudEntry, path: FieldPath, folder: Path, reporter: Reporter
) -> Notifications | None:
    told, here = entry.notifications, (*path, "notifications")
    if told is None:
        return None
    if entry.vendor not in NOTIFYING:
        reporter.add(here, f"{entry.vendor} sends no notifications")
    if urlsplit(told.keys).scheme != "https" and not entry.simulated:
        reporter.add((*here, "keys"), "must be a URL that begins with https://")
    where = (*here, "secrets_file")
    text = read_beside(folder, told.secrets_file, where, reporter)
    secrets = tuple(filter(None, map(str.strip, (text or "").splitlines())))
    # Withings has it in its URL, and it is of one kind for all.
    for number, secret in enumerate(secrets, 1):
        if fault := fault_of_secret(secret, ProofKind.PATH):
            reporter.add(where, f"{told.secrets_file}:{number}: {fault}")
    if text is not None and not secrets:
        reporter.add(where, "holds no secret")
    return Notifications(secrets, told.keys)


def _moved(url: str, base: str) -> str:
    """The URL with another base before its path."""
    return base + urlsplit(url).path if url else ""
