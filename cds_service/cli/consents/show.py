"""``cds-service consent show``: what is kept of a patient's Consents, and permitted."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...exports.consents import Tenancy
from ...exports.entries import counted
from ...fhir.foreign_text import clean
from ...rulebook.cards import stamp
from ...store.records import StoreError
from ...wearables.adapters.consents import doubts
from ...wearables.consent import Consent, ConsentAction, ConsentRecord
from ...wearables.consent_gate import Permitted
from ...wearables.metrics import Catalogue
from ...wearables.records import PatientKey
from ..database import database_option, open_store
from ..terminal import build_console
from ..valuesets import form_option
from . import tenancy_options


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a patient's Consents, and what it permits."""

    patient: PatientKey
    records: tuple[ConsentRecord, ...]
    consents: tuple[Consent, ...]
    """What the records say, in the same order."""
    permitted: Mapping[ConsentAction, Permitted]
    catalogue: Catalogue
    """Every metric and type of alert that the rules know."""
    assumed: bool
    now: datetime

    @property
    def pairs(self) -> Iterator[tuple[ConsentRecord, Consent]]:
        """Each record with what it says."""
        return zip(self.records, self.consents, strict=True)


@click.command()
@database_option
@click.option("--patient", metavar="ID", required=True, help="Whose Consents.")
@tenancy_options
@form_option("text", "json")
def show(database: str, patient: str, form: str, tenancy: Tenancy) -> None:
    """Say what is kept of a patient's Consents, and what they permit by now.

    Of each: what cannot be judged of it. Of each type of alert and each metric in the
    rules: whether it may be stored (collect), shown in a card (use) and quoted for the
    EHR (disclose).
    Exit code 0: said; 1: the database could not be read; 2: usage, or the rules cannot
    be used.
    """
    kept = read_kept(database, patient, tenancy, datetime.now(UTC))
    if form == "json":
        click.echo(json.dumps(as_json(kept), indent=2, ensure_ascii=False))
    else:
        print_kept(build_console(), kept)


def read_kept(url: str, patient: str, tenancy: Tenancy, now: datetime) -> Kept:
    """Return what a database keeps of a patient.

    Raises:
        click.ClickException: if it cannot be read.
    """
    key = tenancy.patient(patient)
    store = open_store(url)
    try:
        records = store.consents.of([key])[key]
    except StoreError as error:
        raise click.ClickException(f"{url}: {error}") from error
    finally:
        store.close()
    gate = tenancy.gate
    consents = gate.read(records)
    permitted = gate.permitted(consents, now)
    return Kept(key, records, consents, permitted, gate.catalogue, gate.assumed, now)


def as_json(kept: Kept) -> dict[str, Any]:
    """Return the same for a program."""
    permitted = kept.permitted.items()
    return {
        **kept.patient._asdict(),
        "now": stamp(kept.now),
        "assumed": kept.assumed,
        "consents": [
            {
                "id": record.id,
                "status": consent.status,
                "updated": stamp(record.updated),
                "source": record.source,
                "doubts": list(doubts(consent)),
            }
            for record, consent in kept.pairs
        ],
        "permits": {
            name: [str(each) for each, of in permitted if name in of.alert_types]
            for name in kept.catalogue.alert_types
        },
        "permits_readings": {
            name: [str(each) for each, of in permitted if name in of.metrics]
            for name in kept.catalogue.metrics
        },
    }


def print_kept(console: Console, kept: Kept) -> None:
    """Print what is kept and what it permits, for a person."""
    whose = f"{kept.patient.patient_id} (tenant {kept.patient.tenant}, FHIR base "
    whose += f"{kept.patient.fhir_base})"
    otherwise = "permitted" if kept.assumed else "neither stored nor shown"
    if not kept.records:
        none = f"There are no stored Consents of patient {whose}; wearable data are "
        console.print(Text(f"{none}{otherwise}."), soft_wrap=True)
        return
    number = counted(len(kept.records), "Consent is", "Consents are")
    console.print(Text(f"{number} kept of patient {whose}:"), soft_wrap=True)
    for record, consent in kept.pairs:
        line = Text().append(f"  {record.id}  ", style="bold")
        told = f"{stamp(record.updated)}  from {clean(record.source)}"
        line.append(f"{clean(consent.status)}  {told}")
        console.print(line, soft_wrap=True)
        for each in doubts(consent):
            console.print(Text(f"    {clean(each)}", style="yellow"), soft_wrap=True)
    if kept.assumed:
        console.print(
            "Until they say anything about wearable data, everything is permitted."
        )
    console.print()
    console.print(_table(kept))


def _table(kept: Kept) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("type of alert, or metric")
    for action in ConsentAction:
        table.add_column(str(action))
    permitted = [kept.permitted[action] for action in ConsentAction]
    for name in kept.catalogue.alert_types:
        table.add_row(name, *(_said(name in of.alert_types) for of in permitted))
    for name in kept.catalogue.metrics:
        table.add_row(name, *(_said(name in of.metrics) for of in permitted))
    return table


def _said(is_permitted: bool) -> Text:
    return Text("yes", "green") if is_permitted else Text("no", "red")
