"""Imports: how far the export of a phone was taken in."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT, WHOLE

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    key = ("tenant", "fhir_base", "patient_id", "source")
    op.create_table(
        "imports",
        *(sa.Column(name, TEXT, primary_key=True) for name in key),
        sa.Column("basis", TEXT, nullable=False),
        sa.Column("items", WHOLE, nullable=False),
        sa.Column("taken_in", TEXT, nullable=False),
    )
