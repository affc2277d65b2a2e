"""Long work of the workbench, and its keys that are thrown away."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT, WHOLE

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    texts = ("key_hash", "subject", "rule", "kind", "state", "node", "result")
    op.create_table(
        "workbench_runs",
        sa.Column("id", WHOLE, primary_key=True),
        *(sa.Column(name, TEXT, nullable=False) for name in texts),
        sa.Column("begun_us", WHOLE, nullable=False),
        sa.Column("beat_us", WHOLE, nullable=False),
        sa.Column("ended_us", WHOLE, nullable=True),
    )
    op.create_index("workbench_runs_by_session", "workbench_runs", ["key_hash", "rule"])
    op.create_table(
        "workbench_keys",
        sa.Column("kid", TEXT, primary_key=True),
        sa.Column("jwk", TEXT, nullable=False),
        sa.Column("until_us", WHOLE, nullable=False),
    )
