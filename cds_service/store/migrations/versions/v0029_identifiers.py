"""Under which address what is told has its identifiers."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT, WHOLE

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; the next to start puts in what it has."""
    op.create_table(
        "identifiers",
        sa.Column("id", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("base", TEXT, nullable=False),
    )
