"""Marks up to which what was kept has been forgotten."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "marks",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("at_utc", sa.Double, nullable=False),
    )
