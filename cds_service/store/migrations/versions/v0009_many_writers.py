"""What several writers at once need: rows to lock, and claims that have a name."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the guards, and the column; a claim of before has no name and runs out."""
    op.create_table(
        "consent_guards",
        sa.Column("tenant", TEXT, primary_key=True),
        sa.Column("fhir_base", TEXT, primary_key=True),
        sa.Column("patient_id", TEXT, primary_key=True),
    )
    op.add_column("deliveries", sa.Column("claim", TEXT, nullable=True))
