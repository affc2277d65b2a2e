"""The tables of samples, links and quarantine, as SQLAlchemy Core sees them.

An instant of a sample is whole microseconds since 1970-01-01T00:00:00Z, and the name of
its column ends in ``_us``: there are many of them, and text would take thrice the room.
"""

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    UniqueConstraint,
    literal_column,
)

from ..tables import METADATA, TEXT, WHOLE, required_text, required_whole

PATIENT = ("tenant", "fhir_base", "patient_id")
OWNER = (*PATIENT, "source", "link")


def _reading() -> list[Column[Any]]:
    """What is kept of a reading beside its place, the widest first.

    PostgreSQL wastes least room so.
    """
    return [
        required_whole("length_us"),
        Column("value", Double, nullable=False),
        required_whole("revision"),
        required_whole("received_us"),
        Column("offset_s", Integer, nullable=True),
        Column("device", Integer, nullable=False),
        Column("stat", SmallInteger, nullable=False),
        Column("context", SmallInteger, nullable=False),
        Column("flags", SmallInteger, nullable=False),
        Column("named", Boolean, nullable=False),
    ]


STREAMS = Table(
    "sample_streams",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    *map(required_text, PATIENT),
    required_text("source"),
    required_whole("link"),
    required_text("metric"),
    required_text("unit"),
    required_whole("newest_us"),
    required_whole("received_us"),
    Column("withdrawn_us", WHOLE, nullable=True),
    UniqueConstraint(*OWNER, "metric", "unit", name="sample_streams_once"),
)
"""One metric of one patient from one source by one link, 0 where the source names the
patient itself. From ``withdrawn_us`` on its readings turned out to be somebody else's.
``newest_us`` is the latest start of any."""

DEVICES = Table(
    "sample_devices",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    *map(required_text, PATIENT),
    *map(required_text, ("device", "name", "app")),
    UniqueConstraint(*PATIENT, "device", "name", "app", name="sample_devices_once"),
)
"""What measured; often called by the patient's name, and so the patient's."""

SAMPLES = Table(
    "samples",
    METADATA,
    Column("stream", WHOLE, primary_key=True, autoincrement=False),
    Column("start_us", WHOLE, primary_key=True, autoincrement=False),
    Column("key", LargeBinary, primary_key=True),
    *_reading(),
    sqlite_with_rowid=False,
)
"""``key`` tells one of a stream from all others. ``named`` are those that the source
has given an id: such a reading may move in time."""

# Written out: an index of some rows serves those who ask in its own words.
NAMED = {
    "sqlite": SAMPLES.c.named == literal_column("1"),
    "postgresql": SAMPLES.c.named == literal_column("true"),
}
Index(
    "samples_by_name",
    SAMPLES.c.stream,
    SAMPLES.c.key,
    sqlite_where=NAMED["sqlite"],
    postgresql_where=NAMED["postgresql"],
)

REVISIONS = Table(
    "sample_revisions",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    required_whole("stream"),
    Column("key", LargeBinary, nullable=False),
    required_whole("start_us"),
    *_reading(),
    required_whole("replaced_us"),
    Index("sample_revisions_by_stream", "stream", "start_us"),
)
"""What stood in ``samples`` until a revision or a removal took its place."""

REMOVALS = Table(
    "sample_removals",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    *map(required_text, PATIENT),
    required_text("source"),
    required_whole("link"),
    *map(required_text, ("metric", "source_id")),
    required_whole("start_us"),
    required_whole("end_us"),
    required_whole("revision"),
    required_whole("received_us"),
    UniqueConstraint(
        *(*OWNER, "source_id", "metric", "start_us", "end_us"),
        name="sample_removals_once",
    ),
)
"""What sources took back, of every metric where it is empty: by id, or from start to
end. It stays, since what it takes back may arrive after it."""

LINKS = Table(
    "links",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    *map(
        required_text, ("tenant", "source", "user", "device", "fhir_base", "patient_id")
    ),
    *map(required_text, ("mrn", "authority", "time_zone")),
    Column("grouping_s", WHOLE, nullable=True),
    required_whole("from_us"),
    Column("until_us", WHOLE, nullable=True),
    required_text("created"),
    Column("retracted", TEXT, nullable=True),
    Index("links_by_user", "tenant", "source", "user"),
    Index("links_by_device", "tenant", "source", "device"),
    Index("links_by_patient", *PATIENT),
)
"""Whose readings those of a user or device are, from one moment to before another."""

LINK_TOKENS = Table(
    "link_tokens",
    METADATA,
    Column("digest", TEXT, primary_key=True),
    required_whole("link"),
    required_text("formats"),
    required_text("created"),
    Column("last_used", TEXT, nullable=True),
    Column("revoked", TEXT, nullable=True),
    Index("link_tokens_by_link", "link"),
)
"""``digest`` is the SHA-256 of the token, ``formats`` a JSON list, ``last_used`` a day:
at which minute somebody's phone was on is nobody's business."""

QUARANTINE = Table(
    "quarantine",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    *map(required_text, ("tenant", "source", "user", "device", "format")),
    Column("key", LargeBinary, nullable=False),
    required_whole("revision"),
    required_whole("start_us"),
    required_text("item"),
    required_text("held"),
    UniqueConstraint(
        *("tenant", "source", "user", "device", "key"), name="quarantine_once"
    ),
    Index("quarantine_by_age", "held"),
)
"""What was told of wearers whom no link names; ``item`` is JSON, ``key`` tells one of a
wearer's items from all others."""

IMPORTS = Table(
    "imports",
    METADATA,
    *(Column(name, TEXT, primary_key=True) for name in (*PATIENT, "source")),
    required_text("basis"),
    required_whole("items"),
    required_text("taken_in"),
)
"""Of exports of phones that are not taken in to their end: so many items are, of what
``basis`` tells apart by a digest."""
