"""Patients' Consents, as far as they matter to wearable data."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of consents."""
    op.create_table(
        "consents",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("fhir_base", sa.Text, primary_key=True),
        sa.Column("patient_id", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("updated", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
    )
