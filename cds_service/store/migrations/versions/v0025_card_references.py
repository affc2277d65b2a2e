"""What a link of a card refers to, for the hours in which it may be opened."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT, WHOLE

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "card_references",
        sa.Column("digest", TEXT, primary_key=True),
        sa.Column("call_id", WHOLE, nullable=False),
        *(
            sa.Column(name, TEXT, nullable=False)
            for name in ("card", "tenant", "client", "fhir_base", "patient_id")
        ),
        sa.Column("user", TEXT, nullable=True),
        sa.Column("page", TEXT, nullable=False),
        sa.Column("at", TEXT, nullable=False),
        sa.Column("until_utc", sa.Double, nullable=False),
        sa.Column("sealed", TEXT, nullable=False),
    )
    patient = ["tenant", "fhir_base", "patient_id"]
    op.create_index("references_by_patient", "card_references", patient)
    op.create_index("references_by_end", "card_references", ["until_utc"])
    op.create_index("references_by_call", "card_references", ["call_id"])
