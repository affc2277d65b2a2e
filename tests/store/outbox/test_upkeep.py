"""What is told and was, as it is exported, erased, pruned, copied and upgraded."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, insert

from cds_service.store.detection.tables import SUMMARIES
from cds_service.store.migrations import MIGRATIONS
from cds_service.store.outbox.sending import Outbox
from cds_service.store.outbox.tables import TOLD
from cds_service.store.rows import alert_row
from cds_service.store.store import Store
from cds_service.store.tables import WEARABLE_ALERTS
from cds_service.store.upkeep.copying import copy
from cds_service.store.upkeep.patients import Asked
from cds_service.store.upkeep.pruning import Keep
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.records import WearableAlert
from cds_service.wearables.samples import microseconds
from cds_service.wearables.telling import Subscription, ToldAs

from .conftest import (
    JANE,
    NOW,
    agree,
    alert,
    consent,
    rows,
    take_back,
    tell,
    tell_all,
)

TABLES = ("outbox", "told", "lanes")


def test_all_that_was_told_of_a_patient_is_written_out(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert())
    tell_all(outbox, gate)
    tell(store, alert(id="a2"))

    told = list(store.patients.export(Asked(JANE, "operator:x", NOW)))

    tables = [each["table"] for each in told]
    assert [tables.count(each) for each in TABLES] == [1, 1, 1]
    (said,) = [each for each in told if each.get("kind") == "disclosure"]
    assert said["detail"]["remote"] == "remote-watch|a1"


def test_nothing_waits_of_a_patient_who_was_erased(
    store: Store, outbox: Outbox, gate: ConsentGate, url: str
) -> None:
    tell(store, alert())
    tell_all(outbox, gate)
    tell(store, alert(id="a2"))

    store.patients.erase(Asked(JANE, "operator:x", NOW), calls=False)

    assert [rows(url, each) for each in TABLES] == [[], [], []]
    assert tell_all(outbox, gate) == []


def test_what_was_told_is_kept_as_long_as_what_it_is_of(
    store: Store, outbox: Outbox, gate: ConsentGate, url: str
) -> None:
    tell(store, alert(status="closed", end=NOW))
    tell_all(outbox, gate)
    tell(store, alert(id="a2", status="closed", end=NOW))
    keep = Keep(records=timedelta(days=30))

    early = store.pruning.count(keep, NOW + timedelta(days=29))
    late = {
        each.what: each.rows
        for each in store.pruning.steps(keep, NOW + timedelta(days=31))
    }

    assert (early["told"], early["outbox"]) == (0, 0)
    assert (late["told"], late["outbox"], late["wearable_alerts"]) == (1, 1, 2)
    assert tell_all(outbox, gate, NOW + timedelta(days=32)) == []


def test_what_was_told_of_an_episode_that_lasts_is_known_until_it_is_over(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert(), alert(id="a2"))
    tell_all(outbox, gate)
    keep, late = Keep(records=timedelta(days=30)), NOW + timedelta(days=99)

    counted = store.pruning.count(keep, late)
    list(store.pruning.steps(keep, late))
    tell(store, alert(rev=1, status="closed", end=late), now=late)
    take_back(store, alert(id="a2", rev=1, status="retracted"), now=late)

    assert (counted["told"], counted["outbox"]) == (0, 0)
    assert tell_all(outbox, gate, late) == [
        ("watch|a1", ToldAs.AMENDED),
        ("watch|a2", ToldAs.ENTERED_IN_ERROR),
    ]


def test_an_episode_that_lasts_waits_for_the_patients_consent_however_long(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    agree(store, consent("deny"))
    tell(store, alert())
    assert tell_all(outbox, gate) == []
    keep, late = Keep(records=timedelta(days=30)), NOW + timedelta(days=99)

    list(store.pruning.steps(keep, late))
    agree(store, consent("permit", at=late), now=late)

    assert tell_all(outbox, gate, late) == [("watch|a1", ToldAs.FINAL)]


def test_what_is_to_be_taken_back_is_known_until_that_is_told(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert(status="closed", end=NOW))
    tell_all(outbox, gate)
    keep, late = Keep(records=timedelta(days=30)), NOW + timedelta(days=31)
    take_back(store, alert(rev=1, status="retracted", end=NOW), now=late)

    list(store.pruning.steps(keep, late))
    told = tell_all(outbox, gate, late)
    after = {
        each.what: each.rows
        for each in store.pruning.steps(keep, late + timedelta(days=31))
    }

    assert told == [("watch|a1", ToldAs.ENTERED_IN_ERROR)]
    assert (after["wearable_alerts"], after["told"]) == (1, 1)


def test_what_was_told_of_a_day_is_known_as_long_as_the_day(
    store: Store, outbox: Outbox, gate: ConsentGate, url: str
) -> None:
    keep, told = Keep(summaries=timedelta(days=30)), []
    note_day(url, "2026-11-22", NOW + timedelta(hours=1))
    for days, hours in ((30, 0), (30, 13), (32, 2)):
        list(store.pruning.steps(keep, NOW + timedelta(days=days, hours=hours)))
        told.append([len(rows(url, each)) for each in ("day_summaries", "told")])

    assert told == [[1, 1], [1, 1], [0, 0]]


def note_day(url: str, day: str, at: datetime) -> None:
    """Have a day be kept of which the EHR was told, where it is over early."""
    whose = JANE._asdict()
    kept = {**whose, "metric": "steps", "day": day, "part": "day", "source": "watch"}
    kept |= {
        "zone": "Pacific/Kiritimati",
        "bands": "{}",
        "sources": "[]",
        "devices": "[]",
    }
    kept |= {"minutes": 1440.0, "n": 1, "version": 1, "computed_us": 1}
    told = {**whose, "destination": "ehr", "kind": "day", "thing": f"steps|{day}|day"}
    told |= {"rev": 1, "remote": "", "digest": "", "status": "final"}
    told["told_us"] = microseconds(at)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(insert(SUMMARIES).values(kept))
        connection.execute(insert(TOLD).values(told))
    engine.dispose()


def test_a_copy_tells_on_where_the_other_stopped(
    store: Store,
    outbox: Outbox,
    gate: ConsentGate,
    url: str,
    new_database: Callable[[Path], str],
    tmp_path: Path,
) -> None:
    tell(store, alert(), alert(id="a2"))
    tell_all(outbox, gate)
    tell(store, alert(rev=1, value=130.0), alert(id="a3"))
    other = new_database(tmp_path / "copy.sqlite")

    for _ in copy(url, other):
        pass

    copied = Store.open(other)
    told = tell_all(copied.outbox, gate)
    copied.close()
    assert told == [("watch|a1", ToldAs.AMENDED), ("watch|a3", ToldAs.FINAL)]


def test_a_database_of_before_keeps_its_alerts_and_tells_of_new_ones(
    tmp_path: Path, gate: ConsentGate
) -> None:
    url = f"sqlite:///{tmp_path / 'old.sqlite'}"
    make_old(url, "0021", alert(id="before"))

    store = Store.open(url)
    store.migrate()
    store.outbox.subscribe([Subscription("ehr", "north")])
    tell(store, alert(id="after"))

    assert tell_all(store.outbox, gate) == [("watch|after", ToldAs.FINAL)]
    tell(store, alert(id="before", rev=1))
    assert tell_all(store.outbox, gate) == [("watch|before", ToldAs.FINAL)]
    store.close()


def make_old(url: str, revision: str, told: WearableAlert) -> None:
    """Have a database be as a schema of before made it, with an alert in it."""
    engine = create_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.execute(insert(WEARABLE_ALERTS).values(alert_row(told)))
    engine.dispose()
