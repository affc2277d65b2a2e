"""Which telling has an unknown outcome, and since when it is looked for."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import WHOLE

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what was begun by now is taken to be what waits."""
    op.add_column("outbox", sa.Column("begun_rev", WHOLE, nullable=True))
    op.add_column("outbox", sa.Column("looked_us", WHOLE, nullable=True))
    op.execute("UPDATE outbox SET begun_rev = rev WHERE begun_us IS NOT NULL")
