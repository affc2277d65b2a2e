"""A row a machine by which it is seen whether anything can be recorded."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "probes",
        sa.Column("node", TEXT, primary_key=True),
        sa.Column("at_utc", sa.Double, nullable=False),
        sa.Column("filler", sa.LargeBinary, nullable=False),
    )
