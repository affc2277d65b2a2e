"""Patients' Consents, as far as they matter to wearable data."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of consents."""
    op.create_table(
        "consents",
        sa.Column("tenant", TEXT, primary_key=True),
        sa.Column("fhir_base", TEXT, primary_key=True),
        sa.Column("patient_id", TEXT, primary_key=True),
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("updated", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("resource", TEXT, nullable=False),
    )
