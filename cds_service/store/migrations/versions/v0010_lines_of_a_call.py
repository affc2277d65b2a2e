"""An index by which the lines are found that stood on a card."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index; what is stored stays as it is."""
    op.create_index("suppressions_by_call", "suppressions", ["call_id"])
