"""Audit rows whose body can be erased, seals of many rows, and keys of patients."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.migrations import refuse_changes_unless
from cds_service.store.tables import TEXT, WHOLE

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

APPEND_ONLY = "audit_is_append_only"
ERASED = " AND ".join(
    (
        "OLD.version >= 2 AND OLD.body_digest = '' AND NEW.body_digest <> ''",
        *(f"NEW.{name} = ''" for name in ("salt", "fhir_base", "patient_id", "detail")),
        *(
            f"NEW.{name} = OLD.{name}"
            for name in (
                *("id", "writer", "sequence", "previous_hash", "hash", "at", "kind"),
                *("tenant", "client", "version", "pseudonym"),
            )
        ),
    )
)
"""The one change of a row: its body goes, and the digest of the body stays."""
PRUNED = (
    "EXISTS (SELECT 1 FROM audit_seals AS seal WHERE seal.writer = OLD.writer"
    " AND seal.first <= OLD.sequence AND seal.last >= OLD.sequence"
    " AND seal.pruned IS NOT NULL)"
)
"""The one removal of rows: with all of their seal, which says so."""
SEALED = " AND ".join(
    (
        "OLD.pruned IS NULL AND NEW.pruned IS NOT NULL",
        *(
            f"NEW.{name} = OLD.{name}"
            for name in (
                *("number", "writer", "first", "last", "hash_before", "hash_last"),
                *("newest", "previous", "digest", "at"),
            )
        ),
    )
)


def upgrade() -> None:
    """Add columns and tables; rows of before keep the version that they have."""
    op.add_column(
        "audit", sa.Column("version", WHOLE, nullable=False, server_default="1")
    )
    for name in ("pseudonym", "salt", "body_digest"):
        column = sa.Column(name, TEXT, nullable=False, server_default="")
        op.add_column("audit", column)
    op.create_table(
        "audit_seals",
        sa.Column("number", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("writer", TEXT, nullable=False),
        sa.Column("first", WHOLE, nullable=False),
        sa.Column("last", WHOLE, nullable=False),
        *(
            sa.Column(name, TEXT, nullable=False)
            for name in (
                *("hash_before", "hash_last", "newest", "previous", "digest", "at"),
            )
        ),
        sa.Column("pruned", TEXT, nullable=True),
        sa.UniqueConstraint("writer", "last", name="audit_seals_by_writer"),
    )
    op.create_table(
        "patient_keys",
        *(
            sa.Column(name, TEXT, primary_key=True)
            for name in ("tenant", "fhir_base", "patient_id")
        ),
        sa.Column("key", TEXT, nullable=False),
    )
    op.create_index("cards_by_call", "cards", ["call_id"])
    op.create_index("alerts_by_age", "wearable_alerts", ["end_utc", "start_utc"])
    told = "the audit trail is append-only"
    refuse_changes_unless("audit", APPEND_ONLY, told, update=ERASED, delete=PRUNED)
    refuse_changes_unless(
        "audit_seals", "audit_seals_stay", "seals stay", update=SEALED
    )
