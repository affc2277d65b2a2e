"""Who is in the workbench, and the links by which one comes in."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT, WHOLE

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "workbench_links",
        sa.Column("link_hash", TEXT, primary_key=True),
        *_texts("subject", "role"),
        *_wholes("until_us"),
        sa.Column("used_us", WHOLE, nullable=True),
    )
    op.create_table(
        "workbench_sessions",
        sa.Column("key_hash", TEXT, primary_key=True),
        *_texts("issuer", "subject", "role"),
        *_wholes("signed_in_us", "idle_until_us", "until_us"),
    )


def _texts(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, TEXT, nullable=False) for name in names]


def _wholes(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, WHOLE, nullable=False) for name in names]
