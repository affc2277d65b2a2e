"""Grants at vendors' clouds, sign-ins, pulls, and what notifications want."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT, WHOLE

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

WEARER = ("tenant", "source", "user")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "grants",
        sa.Column("id", WHOLE, primary_key=True),
        *_texts(*WEARER, "vendor_user", "scopes", "access", "refresh"),
        *_texts("state", "why", "granted"),
        sa.Column("expires_us", WHOLE, nullable=True),
        sa.Column("refresh_begun_us", WHOLE, nullable=True),
        *_wholes("epoch"),
        *_texts("holder"),
        *_wholes("held_until_us"),
        sa.UniqueConstraint(*WEARER, name="grants_once"),
    )
    by_vendor = ["tenant", "source", "vendor_user"]
    op.create_index("grants_by_vendor_user", "grants", by_vendor)
    op.create_table(
        "pulls",
        sa.Column("grant", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("kind", TEXT, primary_key=True),
        sa.Column("until", TEXT, nullable=True),
        *_wholes("due_us", "failures"),
        *_texts("problem"),
    )
    op.create_table(
        "wanted_intervals",
        sa.Column("id", WHOLE, primary_key=True),
        *_texts(*WEARER, "kind"),
        *_wholes("start_us", "end_us", "noted_us"),
        sa.UniqueConstraint(*WEARER, "kind", "start_us", "end_us", name="wanted_once"),
    )
    op.create_table(
        "sign_ins",
        sa.Column("state", TEXT, primary_key=True),
        *_texts(*WEARER, "verifier", "redirect_uri", "outcome"),
        *_wholes("until_us"),
        sa.Column("used_us", WHOLE, nullable=True),
    )


def _texts(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, TEXT, nullable=False) for name in names]


def _wholes(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, WHOLE, nullable=False) for name in names]
