"""The rulebooks that are served, who published them, and what was refused."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT, WHOLE

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of published rulebooks."""
    op.create_table(
        "rulebooks",
        sa.Column("digest", TEXT, primary_key=True),
        _text("files"),
        _text("checked"),
    )
    op.create_table(
        "publications",
        sa.Column("id", WHOLE, primary_key=True),
        _text("digest"),
        _text("at"),
        _text("publisher"),
        sa.Column("rules", WHOLE, nullable=False),
    )
    op.create_table(
        "refusals",
        sa.Column("id", WHOLE, primary_key=True),
        _text("at"),
        _text("publisher"),
        _text("checked"),
        _text("findings"),
        sa.Column("until", TEXT, nullable=True),
    )
    op.create_table(
        "leases",
        sa.Column("name", TEXT, primary_key=True),
        _text("holder"),
        sa.Column("until_utc", sa.Double, nullable=False),
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, TEXT, nullable=False)
