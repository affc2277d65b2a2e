"""The outbox: what is to be told to whom, what was told, and who tells it."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT, WHOLE

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

PATIENT = ("tenant", "fhir_base", "patient_id")
THING = ("destination", *PATIENT, "kind", "thing")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "outbox",
        sa.Column("id", WHOLE, primary_key=True),
        *_texts(*THING),
        *_wholes("rev", "noted_us", "due_us", "attempts"),
        sa.Column("first_us", WHOLE, nullable=True),
        sa.Column("begun_us", WHOLE, nullable=True),
        sa.Column("gone", sa.Boolean, nullable=False),
        *_texts("state", "problem"),
        sa.UniqueConstraint(*THING, name="outbox_once"),
    )
    op.create_index("outbox_by_state", "outbox", ["destination", "state", "due_us"])
    op.create_table(
        "told",
        *_keys(*THING),
        *_wholes("rev"),
        *_texts("remote", "digest", "status"),
        *_wholes("told_us"),
    )
    op.create_table(
        "lanes",
        *_keys("destination", *PATIENT),
        sa.Column("due_us", WHOLE, nullable=True),
        *_wholes("not_before_us"),
        *_texts("holder"),
        *_wholes("until_us", "epoch"),
    )
    op.create_index("lanes_by_due", "lanes", ["destination", "due_us"])
    op.create_table(
        "destinations",
        *_keys("destination"),
        *_texts("tenant", "fhir_base", "takes"),
        *_wholes("failures", "open_until_us", "sent", "failed"),
        sa.Column("last_success_us", WHOLE, nullable=True),
        *_texts("last_problem"),
    )
    op.create_index("destinations_by_patients", "destinations", ["tenant", "fhir_base"])


def _keys(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, TEXT, primary_key=True) for name in names]


def _texts(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, TEXT, nullable=False) for name in names]


def _wholes(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, WHOLE, nullable=False) for name in names]
