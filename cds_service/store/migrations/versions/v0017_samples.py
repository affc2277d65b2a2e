"""Samples: what wearables measured, reading by reading."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT, WHOLE

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

PATIENT = ("tenant", "fhir_base", "patient_id")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "sample_streams",
        sa.Column("id", WHOLE, primary_key=True),
        *_texts(*PATIENT, "source"),
        sa.Column("link", WHOLE, nullable=False),
        *_texts("metric", "unit"),
        *_wholes("newest_us", "received_us"),
        sa.Column("withdrawn_us", WHOLE, nullable=True),
        sa.UniqueConstraint(
            *(*PATIENT, "source", "link", "metric", "unit"),
            name="sample_streams_once",
        ),
    )
    op.create_table(
        "sample_devices",
        sa.Column("id", WHOLE, primary_key=True),
        *_texts(*PATIENT, "device", "name", "app"),
        sa.UniqueConstraint(
            *(*PATIENT, "device", "name", "app"), name="sample_devices_once"
        ),
    )
    op.create_table(
        "samples",
        sa.Column("stream", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("start_us", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("key", sa.LargeBinary, primary_key=True),
        *_reading(),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "samples_by_name",
        "samples",
        ["stream", "key"],
        sqlite_where=sa.text("named = 1"),
        postgresql_where=sa.text("named = true"),
    )
    op.create_table(
        "sample_revisions",
        sa.Column("id", WHOLE, primary_key=True),
        sa.Column("stream", WHOLE, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        *_wholes("start_us"),
        *_reading(),
        *_wholes("replaced_us"),
    )
    op.create_index(
        "sample_revisions_by_stream", "sample_revisions", ["stream", "start_us"]
    )
    op.create_table(
        "sample_removals",
        sa.Column("id", WHOLE, primary_key=True),
        *_texts(*PATIENT, "source"),
        sa.Column("link", WHOLE, nullable=False),
        *_texts("metric", "source_id"),
        *_wholes("start_us", "end_us", "revision", "received_us"),
        sa.UniqueConstraint(
            *(*PATIENT, "source", "link", "source_id", "metric", "start_us", "end_us"),
            name="sample_removals_once",
        ),
    )


def _reading() -> list[sa.Column[object]]:
    return [
        *_wholes("length_us"),
        sa.Column("value", sa.Double, nullable=False),
        *_wholes("revision", "received_us"),
        sa.Column("offset_s", sa.Integer, nullable=True),
        sa.Column("device", sa.Integer, nullable=False),
        *(
            sa.Column(name, sa.SmallInteger, nullable=False)
            for name in ("stat", "context", "flags")
        ),
        sa.Column("named", sa.Boolean, nullable=False),
    ]


def _texts(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, TEXT, nullable=False) for name in names]


def _wholes(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, WHOLE, nullable=False) for name in names]
