"""Links from wearers to patients, tokens of wearers, and items of unknown wearers."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT, WHOLE

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

PATIENT = ("tenant", "fhir_base", "patient_id")
WEARER = ("tenant", "source", "user", "device")


def upgrade() -> None:
    """Add the tables, and by which link an alert came."""
    op.create_table(
        "links",
        sa.Column("id", WHOLE, primary_key=True),
        *_texts(*WEARER, "fhir_base", "patient_id", "mrn", "authority", "time_zone"),
        sa.Column("grouping_s", WHOLE, nullable=True),
        sa.Column("from_us", WHOLE, nullable=False),
        sa.Column("until_us", WHOLE, nullable=True),
        *_texts("created"),
        sa.Column("retracted", TEXT, nullable=True),
    )
    op.create_index("links_by_user", "links", ["tenant", "source", "user"])
    op.create_index("links_by_device", "links", ["tenant", "source", "device"])
    op.create_index("links_by_patient", "links", list(PATIENT))
    op.create_table(
        "link_tokens",
        sa.Column("digest", TEXT, primary_key=True),
        sa.Column("link", WHOLE, nullable=False),
        *_texts("formats", "created"),
        sa.Column("last_used", TEXT, nullable=True),
        sa.Column("revoked", TEXT, nullable=True),
    )
    op.create_index("link_tokens_by_link", "link_tokens", ["link"])
    op.create_table(
        "quarantine",
        sa.Column("id", WHOLE, primary_key=True),
        *_texts(*WEARER, "format"),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("revision", WHOLE, nullable=False),
        sa.Column("start_us", WHOLE, nullable=False),
        *_texts("item", "held"),
        sa.UniqueConstraint(*WEARER, "key", name="quarantine_once"),
    )
    op.create_index("quarantine_by_age", "quarantine", ["held"])
    op.add_column(
        "wearable_alerts", sa.Column("link", WHOLE, nullable=False, server_default="0")
    )


def _texts(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, TEXT, nullable=False) for name in names]
