"""What servers were started with, so that the next start can say what is otherwise."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of configurations; no statement of this program changes a row."""
    op.create_table(
        "configurations",
        sa.Column("id", sa.Integer, primary_key=True),
        *(_text(name) for name in ("at", "server", "digest", "inventory")),
    )
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER configurations_are_append_only_{verb.lower()}"
            f" BEFORE {verb} ON configurations"
            " BEGIN SELECT RAISE(ABORT, 'configurations are append-only'); END"
        )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)
