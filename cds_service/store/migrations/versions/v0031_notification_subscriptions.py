"""What vendors are asked to notify of, and until when they do."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT, WHOLE

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "notification_subscriptions",
        *(sa.Column(e, TEXT, primary_key=True) for e in ("tenant", "source", "user")),
        *(
            sa.Column(name, TEXT, nullable=False)
            for name in ("base", "asked", "problem")
        ),
        *(sa.Column(name, WHOLE, nullable=False) for name in ("due_us", "failures")),
        sa.Column("until_us", WHOLE, nullable=True),
    )
