"""Who works on a delivery, and in which epoch somebody may publish."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT, WHOLE

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; a claim of before names nobody and runs out."""
    op.add_column("deliveries", sa.Column("claimant", TEXT, nullable=True))
    epoch = sa.Column("epoch", WHOLE, nullable=False, server_default="1")
    op.add_column("leases", epoch)
