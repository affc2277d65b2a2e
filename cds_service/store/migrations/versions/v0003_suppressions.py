"""What was held back, and the ways to look up what was shown and overridden before."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT, WHOLE

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of suppressions and two indexes."""
    op.create_table(
        "suppressions",
        sa.Column("id", WHOLE, primary_key=True),
        sa.Column("call_id", WHOLE, nullable=False),
        _text("rule"),
        _text("version"),
        sa.Column("card_index", WHOLE, nullable=False),
        _text("dedup_key"),
        _text("why"),
        sa.Column("until", TEXT, nullable=True),
        _text("detail"),
    )
    op.create_index("suppressions_by_rule", "suppressions", ["rule", "version"])
    patient = ["tenant", "fhir_base", "patient_id"]
    op.drop_index("cards_by_dedup_key", "cards")
    op.create_index("cards_by_dedup_key", "cards", [*patient, "dedup_key", "shown_at"])
    op.create_index("cards_by_patient_and_time", "cards", [*patient, "shown_at"])
    op.create_index("feedback_by_card", "feedback", ["card"])


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, TEXT, nullable=False)
