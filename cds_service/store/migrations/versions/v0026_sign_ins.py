"""Pending sign-ins, sessions of people who come from an EHR, their tokens, tickets."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT, WHOLE

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "pending_sign_ins",
        sa.Column("state_hash", TEXT, primary_key=True),
        *_texts("id", "key_hash", "tenant", "provider", "page", "sealed"),
        *_wholes("begun_us", "until_us"),
        sa.Column("used_us", WHOLE, nullable=True),
    )
    op.create_index("pending_sign_ins_by_end", "pending_sign_ins", ["until_us"])
    op.create_table(
        "smart_sessions",
        sa.Column("id", TEXT, primary_key=True),
        *_texts("key_hash", "launch", "tenant", "client", "fhir_base", "patient_id"),
        *(sa.Column(name, TEXT, nullable=True) for name in ("encounter", "user")),
        *_texts("scopes", "sealed", "why_ended"),
        *_wholes("opened_us", "idle_until_us", "until_us"),
        sa.Column("ended_us", WHOLE, nullable=True),
    )
    op.create_index("smart_sessions_by_launch", "smart_sessions", ["launch"])
    patient = ["tenant", "fhir_base", "patient_id"]
    op.create_index("smart_sessions_by_patient", "smart_sessions", patient)
    op.create_table(
        "smart_tokens",
        sa.Column("launch", TEXT, primary_key=True),
        *_texts("access", "refresh"),
        sa.Column("expires_us", WHOLE, nullable=True),
        *_wholes("epoch", "held_until_us"),
    )
    op.create_table(
        "smart_tickets",
        sa.Column("ticket_hash", TEXT, primary_key=True),
        *_texts("session"),
        *_wholes("until_us"),
        sa.Column("used_us", WHOLE, nullable=True),
    )


def _texts(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, TEXT, nullable=False) for name in names]


def _wholes(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, WHOLE, nullable=False) for name in names]
