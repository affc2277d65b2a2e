"""Migrations: the newest schema, whoever asks and how many at once."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Boolean,
    Connection,
    Float,
    Integer,
    LargeBinary,
    create_engine,
    inspect,
    text,
)
from sqlalchemy.exc import DBAPIError

from cds_service.audit import verify
from cds_service.protocol.cards import Indicator
from cds_service.rulebook.engine.alerting import Display, Lookback
from cds_service.store.migrations import MIGRATIONS, newest
from cds_service.store.records import (
    AuditEntry,
    AuditEvent,
    CallRecord,
    StoreTooNew,
)
from cds_service.store.reports import Period
from cds_service.store.store import Store
from cds_service.store.tables import METADATA
from cds_service.store.trail.chain import Tail, chained
from cds_service.wearables.records import PatientKey

SINCE = datetime(2026, 11, 1, tzinfo=UTC)
Rows = Callable[[str], list[dict[str, Any]]]
TRIGGERS = {
    "sqlite": "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgrelid::regclass::text FROM pg_trigger"
    " WHERE NOT tgisinternal AND tgenabled = 'O'",
}
MIGRATE = """
import sys
from cds_service.store.store import Store
store = Store.open(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
store.migrate()
store.ping()
"""


def test_the_migrations_make_the_tables_that_the_code_sees(
    store: Store, url: str
) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_tables_that_are_made_at_once_are_those_of_the_migrations(
    store: Store, url: str, tmp_path: Path
) -> None:
    at_once = f"sqlite:///{tmp_path / 'at-once.sqlite'}"
    made = Store.open(at_once)
    made.make_tables()
    made.close()

    engines = [create_engine(each) for each in (url, at_once)]
    seen = [inspect(engine) for engine in engines]
    names = [set(each.get_table_names()) for each in seen]
    assert names[0] - names[1] == {"alembic_version"}
    for name in names[1]:
        columns, others = ([e["name"] for e in x.get_columns(name)] for x in seen)
        assert set(columns) == set(others)
        indexes, others = ([e["name"] for e in x.get_indexes(name)] for x in seen)
        assert set(indexes) >= set(others)
    for engine in engines:
        engine.dispose()


def test_migrating_again_keeps_everything(store: Store, event: AuditEvent) -> None:
    store.record_audit(event)
    store.migrate()

    assert len(list(store.audit_entries())) == 1


def test_an_alert_of_before_keeps_its_clock_only_where_it_had_an_offset(
    empty: str,
) -> None:
    starts = ("2026-11-22T08:00:00-05:00", "2026-11-22T13:00:00+00:00")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(empty)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0006")
        for start in starts:
            connection.exec_driver_sql(
                "INSERT INTO wearable_alerts (tenant, fhir_base, patient_id, source,"
                " id, rev, type, metric, unit, stat, start, start_utc, opened, status,"
                f" origin, device) VALUES ('default', '-', 'p', 'watch', '{start}', 0,"
                f" 'irregular-rhythm', '', '', '', '{start}', 0, '{starts[1]}', 'open',"
                " 'vendor', '')"
            )
    engine.dispose()

    store = Store.open(empty)
    store.migrate()

    found = store.wearable_alerts(PatientKey("default", "-", "p"), SINCE).alerts
    assert {each.start.isoformat(): each.local for each in found} == {
        starts[0]: True,
        starts[1]: False,
    }
    store.close()


def test_what_was_shown_and_overridden_before_still_counts(empty: str) -> None:
    """A card of before has no evidence, and a line of before no severity."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(empty)
    at = "2026-11-20T12:00:00.000000Z"
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0007")
        for statement in (
            "INSERT INTO calls VALUES (1, :at, 'default', 'ehr', 'review',"
            " 'patient-view', 'h', '-', 'p', 'Practitioner/1', NULL, 'd', '[]', '[]',"
            " '[]')",
            "INSERT INTO cards VALUES ('u', 1, 'default', 'ehr', 'review', '-', 'p',"
            " 'a', '1.0.0', 'k', 'warning', :at)",
            "INSERT INTO suppressions VALUES (1, 1, 'b', '1.0.0', 1, 'k', 'grouped',"
            " NULL, 'group g, told by a')",
            "INSERT INTO feedback VALUES ('f', :at, 'default', 'ehr', 'review', 'u',"
            " 'overridden', :at, '[]', 'urn:s', 'artifact', NULL, NULL, true, 'a',"
            " '1.0.0')",
        ):
            connection.exec_driver_sql(statement.replace(":at", f"'{at}'"))
    engine.dispose()

    store = Store.open(empty)
    store.migrate()

    lookback = Lookback(frozenset({"k"}), SINCE, None, SINCE)
    found = store.displays(PatientKey("default", "-", "p"), lookback)
    moment = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert found == (
        Display(
            "a",
            "1.0.0",
            "k",
            Indicator.WARNING,
            moment,
            overridden=moment,
            reason="urn:s|artifact",
            user="Practitioner/1",
        ),
    )
    store.close()


@pytest.mark.parametrize("kind", ["postgresql"])
def test_no_language_orders_texts_in_its_own_way(store: Store, rows: Rows) -> None:
    found = rows("""
        SELECT table_name, column_name, collation_name FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name <> 'alembic_version'
            AND data_type IN ('text', 'character varying')
    """)

    assert len(found) > 50
    assert [each for each in found if each["collation_name"] != "C"] == []


def test_a_trail_of_before_verifies_and_goes_on_and_is_sealed(empty: str) -> None:
    """Its rows keep the way in which they were hashed."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(empty)
    at, before = "2026-11-20T12:00:00.000000Z", "0" * 64
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0013")
        for sequence in (1, 2, 3):
            row = ["w", sequence, before, at, "call", "t", "ehr", "-", "p", "{}"]
            text = json.dumps(row, separators=(",", ":"))
            hash = hashlib.sha256(text.encode()).hexdigest()
            connection.exec_driver_sql(
                "INSERT INTO audit (id, writer, sequence, previous_hash, hash, at,"
                f" kind, tenant, client, fhir_base, patient_id, detail) VALUES"
                f" ({sequence},"
                f" 'w', {sequence}, '{before}', '{hash}', '{at}', 'call', 't', 'ehr',"
                " '-', 'p', '{}')"
            )
            before = hash
    engine.dispose()

    store = Store.open(empty)
    store.migrate()
    if not empty.startswith("sqlite"):
        # Rows were put there under keys of their own choice.
        rows_of = create_engine(empty, isolation_level="AUTOCOMMIT")
        with rows_of.connect() as connection:
            connection.exec_driver_sql("SELECT setval('audit_id_seq', 100)")
        rows_of.dispose()
    store.record_audit(AuditEvent(SINCE, "call"))

    assert [each.version for each in store.audit_entries()] == [1, 1, 1, 3]
    assert verify(store) == []
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert len(list(store.seals.seal(now, now))) == 2
    for seal in store.seals.prunable(now):
        store.seals.prune(seal, now)
    assert verify(store) == []
    store.close()


@pytest.mark.parametrize("kind", ["sqlite"])
def test_the_database_keeps_a_write_ahead_log(store: Store, rows: Rows) -> None:
    assert rows("PRAGMA journal_mode") == [{"journal_mode": "wal"}]


def test_a_database_of_a_newer_program_is_refused(store: Store, rows: Rows) -> None:
    rows("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StoreTooNew, match="schema is 9999.* start the newer version"):
        store.migrate()


def test_several_processes_may_migrate_at_once(
    empty: str, run_at_once: Callable[..., list[str]]
) -> None:
    run_at_once(MIGRATE, *[(empty,)] * 4)


def test_the_file_may_have_any_name(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / '50% & more' / 'cds.sqlite'}")
    store.migrate()
    store.ping()
    store.close()


def test_the_newest_change_is_told_by_the_names_of_the_modules() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))

    assert newest() == ScriptDirectory.from_config(config).get_current_head()


def test_what_was_stored_under_any_schema_is_there_under_the_newest(
    empty: str, rows: Rows, event: AuditEvent, make_call: Callable[..., CallRecord]
) -> None:
    """A row in each table is added after each change, and goes through all others."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    revisions = list(ScriptDirectory.from_config(config).walk_revisions())
    engine, added = create_engine(empty), Counter[str]()
    trail = Trail()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        for revision in reversed(revisions):
            command.upgrade(config, revision.revision)
            reflected = inspect(connection)
            for table in sorted({*reflected.get_table_names()} - NOT_FILLED):
                columns = reflected.get_columns(table)
                row = row_of(columns, f"{table}-{revision.revision}")
                if table == "audit":
                    row |= trail.next(row)
                add_row(connection, table, row)
                added[table] += 1
    kept = Counter[str]()
    store = Store.open(empty)
    store.migrate()
    with engine.connect() as connection:
        for table in added:
            asked = connection.exec_driver_sql(f"SELECT count(*) FROM {table}")
            kept[table] = asked.scalar_one()
    engine.dispose()

    assert kept == added
    assert min(added.values()) >= 1 and added["audit"] == len(revisions)
    assert verify(store) == []
    everything = Period(SINCE, SINCE + timedelta(days=30))
    assert sum(each.shown for each in store.reports.rules(everything)) == len(revisions)
    store.record_call(make_call(), event)
    assert verify(store) == []
    store.close()


NOT_FILLED = {"alembic_version", "audit_seals", "identifiers", "unfinished_copies"}
"""``identifiers`` is one row at most, whose number is not the database's to give."""
MOMENT = "2026-11-20T12:00:00.000000Z"
BY_NAME = {
    **dict.fromkeys(("sources", "evaluations", "deviations", "evidence"), "[]"),
    **dict.fromkeys(("findings", "accepted_suggestions"), "[]"),
    **dict.fromkeys(("resource", "files", "inventory", "detail"), "{}"),
    **dict.fromkeys(("start", "end", "opened", "updated", "until"), MOMENT),
    **dict.fromkeys(("pseudonym", "salt", "body_digest"), ""),
    "indicator": "info",
    "outcome": "accepted",
}
"""What no other value can stand for."""


class Trail:
    """Writes a chain as it was before there was a second version of rows."""

    def __init__(self) -> None:
        self.tail = Tail("w")

    def next(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return what tells the row its place."""
        fields = {name: row.get(name, "") for name in AuditEntry.__slots__}
        entry = chained(AuditEntry(**{**fields, "version": 1}), self.tail)
        self.tail = Tail(entry.writer, entry.sequence, entry.hash)
        named = ("writer", "sequence", "previous_hash", "hash")
        return {name: getattr(entry, name) for name in named}


def row_of(columns: Iterable[Any], name: str) -> dict[str, Any]:
    """Return a row unlike every other; its number is given by the database."""
    found: dict[str, Any] = {}
    for column in columns:
        own, type = column["name"], column["type"]
        if own == "id" and isinstance(type, Integer):
            continue
        if own in ("at", "begun") or own.endswith("_at"):
            found[own] = MOMENT
        elif isinstance(type, Boolean):
            found[own] = False
        elif isinstance(type, LargeBinary):
            found[own] = name.encode()
        elif isinstance(type, Integer | Float):
            found[own] = 1
        else:
            found[own] = BY_NAME.get(own, name)
    return found


def add_row(connection: Connection, table: str, row: dict[str, Any]) -> None:
    named = ", ".join(f'"{name}"' for name in row)
    places = ", ".join(f":{name}" for name in row)
    connection.execute(text(f"INSERT INTO {table} ({named}) VALUES ({places})"), row)


def test_after_each_change_the_rows_that_must_stay_are_guarded(
    empty: str, kind: str
) -> None:
    """To change a column of SQLite is to make its table anew, without its triggers."""
    verbs = {"sqlite": 2, "postgresql": 3}[kind]
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    revisions = list(ScriptDirectory.from_config(config).walk_revisions())
    engine = create_engine(empty)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        for revision in reversed(revisions):
            command.upgrade(config, revision.revision)
            found = connection.exec_driver_sql(TRIGGERS[kind])
            tables = Counter(name for (name,) in found)
            guarded = {
                "audit": "0004",
                "configurations": "0006",
                "audit_seals": "0014",
            }
            assert tables == {
                table: verbs
                for table, since in guarded.items()
                if since <= revision.revision
            }
    engine.dispose()


@pytest.mark.parametrize("statement", ["DELETE FROM audit", "TRUNCATE audit"])
@pytest.mark.parametrize("kind", ["postgresql"])
def test_the_owner_of_the_tables_cannot_empty_the_trail_either(
    store: Store, event: AuditEvent, rows: Rows, statement: str
) -> None:
    store.record_audit(event)

    with pytest.raises(DBAPIError, match="append-only"):
        rows(statement)
