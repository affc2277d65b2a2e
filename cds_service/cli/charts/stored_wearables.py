"""What a server's database has of the wearables of patients who are in files.

It is read as a call reads it, under the patient's Consents. Without a database days and
streams are not read, which is not the same as none.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click

from ...config import Clients, Config, ConsentMode
from ...decision import with_partial_alerts
from ...decision.consenting import Heeded, find_wearables, open_gate
from ...fhir.chart import Chart
from ...rulebook.engine import Rule, Rulebook, ServiceRules, wearables_asked
from ...store.records import StoreError
from ...store.store import Store
from ...wearables.records import PatientKey, WearableAlert
from ...wearables.worn import Wearables
from ..consents import clients_options, load_known_clients
from ..database import open_store, shown

Alerts = tuple[WearableAlert, ...]
UNREAD = (
    "days and streams of wearables were not read: say where they are with --database"
)
AS_NOW = (
    "wearables are told as the database has them now: what came, or was corrected or"
    " removed, since then is not told apart"
)
WITHHELD = "data that the patient does not permit to be used are left out"
LATELY = timedelta(minutes=5)
"""Up to which time ago what is asked is asked of now."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where the wearables of a tenant's patients are, and how Consents are read."""

    url: str
    tenant: str
    fhir_base: str
    clients: Clients = field(default_factory=Clients)
    mode: ConsentMode = ConsentMode.REQUIRED
    kept_days: int = 0
    """Days that summaries of days are kept there."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What rules see of a patient's wearables, and what is to be said of it."""

    chart: Chart
    """In which it stands where there are more alerts than were read."""
    wearables: Wearables
    notes: tuple[str, ...] = ()


class Bystander:
    """Reads wearables for patients in files; of no database nothing.

    A class because it holds a connection, which ends with it.
    """

    def __init__(self, at: Whereabouts | None) -> None:
        """Open the database.

        Raises:
            click.ClickException: if there is none, or it cannot be read.
        """
        self._at = at
        self._store: Store | None = open_store(at.url) if at else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._store:
            self._store.close()

    def see(
        self,
        service: ServiceRules,
        rulebook: Rulebook,
        chart: Chart,
        sent: Alerts | None,
        now: datetime,
    ) -> Seen:
        """Return what the service's rules see.

        Args:
            sent: Alerts of a file, which go before those of the database; None where
                there is no such file.

        Raises:
            click.ClickException: if the database cannot be read.
        """
        if self._at is None or self._store is None:
            return Seen(chart, Wearables(sent or (), None, None, None))
        heeded = self._find(self._at, self._store, service, rulebook, chart, now)
        worn, notes = heeded.wearables, []
        if heeded.use and heeded.use.state != "permitted":
            notes.append(WITHHELD)
        if datetime.now(UTC) - now > LATELY:
            notes.append(AS_NOW)
        lost = _lost_before(service, now, self._at.kept_days)
        if lost:
            worn = replace(worn, days=None, tallies=None)
            notes.append(f"days before {lost} are no longer stored: days are not read")
        if sent is not None:
            worn = replace(worn, alerts=sent, places={}, whole=True)
        chart = with_partial_alerts(chart, replace(heeded, wearables=worn))
        return Seen(chart, worn, tuple(notes))

    def _find(
        self,
        at: Whereabouts,
        store: Store,
        service: ServiceRules,
        rulebook: Rulebook,
        chart: Chart,
        now: datetime,
    ) -> Heeded:
        patient = PatientKey(at.tenant, at.fhir_base, chart.patient_id)
        gate = open_gate(rulebook, at.clients, at.tenant, at.mode)
        try:
            return find_wearables(service, chart, patient, rulebook, store, gate, now)
        except StoreError as error:
            raise click.ClickException(f"{shown(at.url)}: {error}") from error


def _lost_before(service: ServiceRules, now: datetime, kept: int) -> date | None:
    """Return before which day nothing is kept any more, if rules asked it at *now*."""
    asked = wearables_asked(service, now)
    firsts = [*asked.days.values(), *asked.detectors.values()]
    oldest = datetime.now(UTC).date() - timedelta(days=kept)
    then = now.date() - timedelta(days=kept)
    lost = firsts and max(min(firsts), then) < oldest
    return oldest if lost else None


def unread_of(rule: Rule) -> Iterator[str]:
    """Yield what is to be said of a rule where no database was named."""
    if any(fact.kind in ("wearable", "stream") for fact in rule.facts.values()):
        yield UNREAD


def database_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return options that name a database; the command gets it as ``whereabouts``."""

    @wraps(command)
    def with_database(
        database: str | None,
        tenant: str,
        fhir_base: str,
        clients: Path | None,
        assumed: bool,
        kept_days: int,
        **arguments: Any,
    ) -> None:
        at = None
        if database:
            known = load_known_clients(clients) if clients else Clients()
            mode = ConsentMode.ASSUMED if assumed else ConsentMode.REQUIRED
            base = fhir_base.rstrip("/")
            at = Whereabouts(database, tenant, base, known, mode, kept_days)
        command(whereabouts=at, **arguments)

    wrapped: Callable[..., None] = with_database
    for option in reversed((*_OPTIONS, *clients_options)):
        wrapped = option(wrapped)
    return wrapped


_OPTIONS: tuple[Callable[[Callable[..., None]], Callable[..., None]], ...] = (
    click.option(
        "--database",
        help="A server's database: what wearables told of days, streams and episodes,"
        " as a call sees it.",
    ),
    click.option("--tenant", default="default", help="Tenant of the patient."),
    click.option("--fhir-base", default="-", help="The patient's FHIR server."),
    click.option(
        "--summaries-kept-days",
        "kept_days",
        type=click.IntRange(1),
        envvar="CDS_SUMMARIES_KEPT_DAYS",
        show_envvar=True,
        default=Config.model_fields["summaries_kept_days"].default,
        show_default=True,
        help="How many days the server keeps daily summaries.",
    ),
)
