"""What a card rested on, and what stood as a line on another rule's card."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; of what was stored before it is not known, and they are null."""
    op.add_column("cards", sa.Column("evidence", TEXT, nullable=True))
    op.add_column("suppressions", sa.Column("indicator", TEXT, nullable=True))
    op.add_column("suppressions", sa.Column("told_under", TEXT, nullable=True))
    op.create_index("suppressions_by_dedup_key", "suppressions", ["dedup_key"])
