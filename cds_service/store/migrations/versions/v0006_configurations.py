"""What servers were started with, so that the next start can say what is otherwise."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.migrations import refuse_changes
from cds_service.store.tables import TEXT, WHOLE

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of configurations; no statement of this program changes a row."""
    op.create_table(
        "configurations",
        sa.Column("id", WHOLE, primary_key=True),
        *(_text(name) for name in ("at", "server", "digest", "inventory")),
    )
    refuse_changes(
        "configurations",
        "configurations_are_append_only",
        "configurations are append-only",
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, TEXT, nullable=False)
