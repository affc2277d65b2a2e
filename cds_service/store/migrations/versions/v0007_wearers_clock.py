"""Whether the start of an alert is told on the wearer's clock."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of what was stored before, an offset of its own is taken as told.

    ``Z`` was stored as ``+00:00``, so that one of those says nothing.
    """
    op.add_column(
        "wearable_alerts",
        sa.Column("local", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.execute("UPDATE wearable_alerts SET local = true WHERE start NOT LIKE '%+00:00'")
