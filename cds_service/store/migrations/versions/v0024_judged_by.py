"""By which content of a detector a day was judged."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of the days before nobody knows."""
    told = sa.Column("judged_by", TEXT, nullable=False, server_default="")
    op.add_column("detector_days", told)
