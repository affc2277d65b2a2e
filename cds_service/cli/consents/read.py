"""``cds-service consent read``: all Consents of a FHIR server, before a chart opens."""

from collections.abc import Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from ...exports.consents import CONSENTS, ConsentsTold, Keeper, Tenancy, read_consents
from ...exports.entries import counted
from ...exports.server import FhirServer
from ...fhir.scopes import Grant
from ...store.records import StoreError
from ...store.store import Store
from ...wearables.consent import FHIR_SERVER
from ...wearables.consent_gate import ConsentChange
from ..database import database_option, open_store
from ..exports.access import (
    ServerAccess,
    access_options,
    count_option,
    granted,
    reach,
    read_base,
)
from ..terminal import ProgressLine
from . import tenancy_options


@dataclass(slots=True)
class Counts:
    """What has changed in the database."""

    patients: int = 0
    changed: int = 0
    forgotten: int = 0
    ended: int = 0

    def add(self, change: ConsentChange) -> None:
        """Count what changed of one patient more."""
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
        return f"What was read of {of} is stored; run it again for the rest."

    def __str__(self) -> str:
        return (
            f"{self.changed} changed, {self.forgotten} forgotten, "
            f"{counted(self.ended, 'alert', 'alerts')} ended"
        )


@click.command()
@click.option("--fhir", required=True, help="Base address of the FHIR server.")
@database_option
@tenancy_options
@count_option(CONSENTS)
@access_options(CONSENTS)
def read(
    fhir: str,
    database: str,
    count: int,
    tenancy: Tenancy,
    access: ServerAccess,
) -> None:
    """Store all Consents of a FHIR server, so that alerts need not wait for a chart.

    What the server has no longer is forgotten, if all was read. Alerts end that are not
    permitted any more, so rules, clients and --assumed must be the server's own. What
    is stored stays when it is interrupted, and run again it changes nothing twice. Exit
    code 0: all was read and stored; 1: not all, and why; 2: usage.
    """
    base = read_base(fhir)
    check_tenancy(tenancy)
    counts, progress = Counts(), ProgressLine()
    told = ConsentsTold(tenancy, str(base))
    with _opened(database, counts, progress) as store:
        before = store.consents.told_by(tenancy.tenant, tenancy.fhir_base, FHIR_SERVER)
        with reach(base, CONSENTS, CONSENTS.kind, access, progress.say) as server:
            read_consents(server, told, count, _now, progress.say)
            missing = [*why_narrowed(server), *why_emptied(told, before)]
        reasons = [*told.why_not_whole(), *missing]
        blind = bool(missing) or told.lacks_some
        keeper = Keeper(
            store,
            tenancy.gate,
            str(base),
            before,
            _now,
            lambda patient: not blind and patient not in told.unsure,
        )
        whole = not reasons
        for change in keeper.keep(told.held, told.records_of, whole=whole):
            counts.add(change)
            progress.say(f"{counted(counts.patients, 'patient', 'patients')} stored")
    conclude(told, counts, reasons, blind)


def check_tenancy(tenancy: Tenancy) -> None:
    """Return if the clients file has a client of that tenant, or has none at all.

    Raises:
        click.UsageError: if not: the Consents would be kept of other patients.
    """
    listed = tenancy.clients.clients if tenancy.clients else ()
    known = sorted({(each.client.tenant, each.client.fhir_base) for each in listed})
    if known and (tenancy.tenant, tenancy.fhir_base) not in known:
        named = "; ".join(f"--tenant {each} --fhir-base {base}" for each, base in known)
        raise click.UsageError(
            f"no client in the clients file matches these; try {named}"
        )


def why_narrowed(server: FhirServer) -> Iterator[str]:
    """Yield a sentence where the token is known to show a part only."""
    if granted(server.credentials, CONSENTS.kind) is not Grant.FULL:
        yield f"The token shows some {CONSENTS.many} only."


def why_emptied(told: ConsentsTold, before: Sized) -> Iterator[str]:
    """Yield a sentence where nothing came of a server that had told of patients."""
    if told.pages and not told.consents and before:
        of = counted(len(before), "patient", "patients")
        yield f"The server has no Consent at all, but had {of} before."


def conclude(
    told: ConsentsTold, counts: Counts, reasons: list[str], blind: bool
) -> None:
    """Say what was read and what has changed.

    Raises:
        click.ClickException: with the *reasons* why there may be more; *blind* says
            that it may be about anybody.
    """
    if told.pages:
        read = counted(told.consents, "Consent", "Consents")
        of = counted(len(told.held), "patient", "patients")
        click.echo(f"{read} of {of} read; {counts}; {told.unreadable} unreadable")
    if reasons:
        kept = "What was read is stored" if told.consents else "Nothing is stored"
        if told.consents and (blind or told.unsure):
            kept += " but for new permissions where a denial may be missing"
        reasons = [*reasons, f"{kept}, and nothing is forgotten."]
        raise click.ClickException("\n".join(reasons))


@contextmanager
def _opened(url: str, counts: Counts, progress: ProgressLine) -> Iterator[Store]:
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
