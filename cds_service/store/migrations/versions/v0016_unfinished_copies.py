"""A mark for a database that another is copied into, until it is whole."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "unfinished_copies",
        sa.Column("source", TEXT, primary_key=True),
        sa.Column("begun", TEXT, nullable=False),
    )
