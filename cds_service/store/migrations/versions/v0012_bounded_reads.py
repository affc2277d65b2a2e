"""Indexes by which a call reads the newest of a patient and stops."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

PATIENT = ["tenant", "fhir_base", "patient_id"]


def upgrade() -> None:
    """Add what is looked up, and take away what nothing looks up any more."""
    for name, columns, rows in (
        ("alerts_by_end", [*PATIENT, "end_utc", "start_utc"], "status != 'retracted'"),
        ("alerts_that_last", PATIENT, "status = 'open'"),
    ):
        op.execute(
            f"CREATE INDEX {name} ON wearable_alerts ({', '.join(columns)})"
            f" WHERE {rows}"
        )
    op.drop_index("suppressions_by_rule", "suppressions")
    op.drop_index("suppressions_by_dedup_key", "suppressions")
