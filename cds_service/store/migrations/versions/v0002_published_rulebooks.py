"""The rulebooks that are served, who published them, and what was refused."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of published rulebooks."""
    op.create_table(
        "rulebooks",
        sa.Column("digest", sa.Text, primary_key=True),
        _text("files"),
        _text("checked"),
    )
    op.create_table(
        "publications",
        sa.Column("id", sa.Integer, primary_key=True),
        _text("digest"),
        _text("at"),
        _text("publisher"),
        sa.Column("rules", sa.Integer, nullable=False),
    )
    op.create_table(
        "refusals",
        sa.Column("id", sa.Integer, primary_key=True),
        _text("at"),
        _text("publisher"),
        _text("checked"),
        _text("findings"),
        sa.Column("until", sa.Text, nullable=True),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, primary_key=True),
        _text("holder"),
        sa.Column("until_utc", sa.Double, nullable=False),
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)
