"""``cds-service consent read``: all Consents of a FHIR server, before a chart opens."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from ..consenting import teller_of
from ..fhir.scopes import Grant
from ..rulebook.findings import suggest
from ..store.records import StoreError
from ..store.store import Store
from ..wearables.consent_gate import ConsentChange
from .consent_keeping import Keeper
from .consent_options import Tenancy, tenancy_options
from .consent_reading import CONSENTS, Told, read_consents
from .database import database_option, open_store
from .fhir_access import (
    Access,
    access_options,
    count_option,
    granted,
    reach,
    read_base,
)
from .fhir_entries import counted
from .fhir_server import FhirServer
from .progress import Progress


@dataclass(slots=True)
class Counts:
    """What has changed in the database."""

    patients: int = 0
    changed: int = 0
    forgotten: int = 0
    ended: int = 0

    def add(self, change: ConsentChange) -> None:
        """Counts what changed of one patient more."""
        self.patients += 1
        self.changed += len(change.kept)
        self.forgotten += len(change.gone)
        self.ended += len(change.ended)

    @property
    def kept(self) -> str:
        """What is stored of work that stops now, in a sentence."""
        if not self.patients:
            return "Nothing is stored."
        of = counted(self.patients, "patient", "patients")
        return f"What came of {of} is stored; run it again for the rest."

    def __str__(self) -> str:
        return (
            f"{self.changed} changed, {self.forgotten} forgotten, "
            f"{counted(self.ended, 'alert', 'alerts')} ended"
        )


@click.command()
@click.option("--fhir", required=True, help="Base address of the FHIR server.")
@database_option
@click.option(
    "--client",
    required=True,
    metavar="ID",
    help="Whose FHIR server it is: the client's id in the clients file.",
)
@tenancy_options
@count_option(CONSENTS)
@access_options(CONSENTS)
def read(
    fhir: str,
    database: str,
    client: str,
    count: int,
    tenancy: Tenancy,
    access: Access,
) -> None:
    """Store all Consents of a FHIR server, so that alerts need not wait for a chart.

    What the server has no longer is forgotten, if all was read. Alerts end that are not
    permitted any more, so rules, clients and --assumed must be the server's own. What
    is stored stays when it is interrupted, and run again it changes nothing twice. Exit
    code 0: all was read and stored; 1: not all, and why; 2: usage.
    """
    base = read_base(fhir)
    check_client(client, tenancy)
    teller, counts, progress = teller_of(client), Counts(), Progress()
    told = Told(teller, tenancy, str(base))
    with _opened(database, counts, progress) as store:
        before = store.consents.told_by(tenancy.tenant, tenancy.fhir_base, teller)
        with reach(base, CONSENTS, CONSENTS.kind, access, progress.say) as server:
            read_consents(server, told, count, _now, progress.say)
            reasons = [*told.why_not_whole(), *why_narrowed(server)]
        keeper = Keeper(store, tenancy.gate, teller, str(base), before, _now)
        whole = not reasons
        for change in keeper.keep(told.held, told.records_of, whole=whole):
            counts.add(change)
            progress.say(f"{counted(counts.patients, 'patient', 'patients')} stored")
    conclude(told, counts, reasons)


def check_client(client: str, tenancy: Tenancy) -> None:
    """Return if the clients file has that client of that tenant, or has none at all.

    Raises:
        click.UsageError: if not; what would be stored under another name, or of other
            patients, would never be forgotten.
    """
    listed = tenancy.clients.clients if tenancy.clients else ()
    known = {each.client.id: each.client for each in listed}
    if not known:
        return
    if client not in known:
        help = suggest(client, known)
        message = f"--client: the clients file has no client {client}; {help}"
        raise click.UsageError(message.rstrip("; "))
    tenant, base = known[client].tenant, known[client].fhir_base
    if (tenant, base) != (tenancy.tenant, tenancy.fhir_base):
        raise click.UsageError(
            f"--client: {client} asks about patients of --tenant {tenant} "
            f"--fhir-base {base}"
        )


def why_narrowed(server: FhirServer) -> Iterator[str]:
    """A sentence where the token is known to show a part only."""
    if granted(server.credentials, CONSENTS.kind) is not Grant.FULL:
        yield f"The token shows some {CONSENTS.many} only."


def conclude(told: Told, counts: Counts, reasons: list[str]) -> None:
    """Say what was read and what has changed.

    Raises:
        click.ClickException: with the *reasons* why there may be more.
    """
    if told.pages:
        read = counted(told.consents, "Consent", "Consents")
        of = counted(len(told.held), "patient", "patients")
        click.echo(f"{read} of {of} read; {counts}; {told.unreadable} unreadable")
    if reasons:
        kept = "What came is stored" if told.consents else "Nothing is stored"
        reasons = [*reasons, f"{kept}, and nothing is forgotten."]
        raise click.ClickException("\n".join(reasons))


@contextmanager
def _opened(url: str, counts: Counts, progress: Progress) -> Iterator[Store]:
    """The store at a URL; what stops the work says what is stored by then."""
    store = open_store(url)
    try:
        yield store
    except StoreError as error:
        progress.clear()
        raise click.ClickException(f"{url}: {error}. {counts.kept}") from error
    except KeyboardInterrupt:
        progress.clear()
        raise click.ClickException(f"Interrupted. {counts.kept}") from None
    finally:
        store.close()
    progress.clear()


def _now() -> datetime:
    return datetime.now(UTC)
