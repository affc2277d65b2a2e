"""The first tables."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT, WHOLE

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the first tables."""
    _create_spent_tokens()
    _create_deliveries()
    _create_wearable_alerts()
    _create_calls()
    _create_cards()
    _create_feedback()
    _create_audit()


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, TEXT, nullable=False)


def _create_spent_tokens() -> None:
    op.create_table(
        "spent_tokens",
        sa.Column("issuer", TEXT, primary_key=True),
        sa.Column("jti", TEXT, primary_key=True),
        sa.Column("expires_utc", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("spent_tokens_by_expiry", "spent_tokens", ["expires_utc"])


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("source", TEXT, primary_key=True),
        sa.Column("key", TEXT, primary_key=True),
        _text("digest"),
        sa.Column("begun_utc", sa.Double, nullable=False),
        sa.Column("status", WHOLE, nullable=True),
        sa.Column("body", TEXT, nullable=True),
    )
    op.create_index("deliveries_by_age", "deliveries", ["begun_utc"])


def _create_wearable_alerts() -> None:
    op.create_table(
        "wearable_alerts",
        sa.Column("tenant", TEXT, primary_key=True),
        sa.Column("fhir_base", TEXT, primary_key=True),
        sa.Column("patient_id", TEXT, primary_key=True),
        sa.Column("source", TEXT, primary_key=True),
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("rev", WHOLE, nullable=False),
        _text("type"),
        _text("metric"),
        sa.Column("value", sa.Double, nullable=True),
        _text("unit"),
        _text("stat"),
        sa.Column("threshold", sa.Double, nullable=True),
        _text("start"),
        sa.Column("end", TEXT, nullable=True),
        sa.Column("start_utc", sa.Double, nullable=False),
        sa.Column("end_utc", sa.Double, nullable=True),
        _text("opened"),
        _text("status"),
        _text("origin"),
        _text("device"),
        sa.Column("coverage", sa.Double, nullable=True),
        sa.Column("n", WHOLE, nullable=True),
    )


def _create_calls() -> None:
    op.create_table(
        "calls",
        sa.Column("id", WHOLE, primary_key=True),
        _text("at"),
        _text("tenant"),
        _text("client"),
        _text("service"),
        _text("hook"),
        _text("hook_instance"),
        _text("fhir_base"),
        _text("patient_id"),
        sa.Column("user", TEXT, nullable=True),
        sa.Column("encounter", TEXT, nullable=True),
        _text("rulebook"),
        _text("sources"),
        _text("evaluations"),
        _text("deviations"),
    )
    op.create_index("calls_by_time", "calls", ["at"])


def _create_cards() -> None:
    op.create_table(
        "cards",
        sa.Column("uuid", TEXT, primary_key=True),
        sa.Column("call_id", WHOLE, nullable=False),
        _text("tenant"),
        _text("client"),
        _text("service"),
        _text("fhir_base"),
        _text("patient_id"),
        _text("rule"),
        _text("version"),
        _text("dedup_key"),
        _text("indicator"),
        _text("shown_at"),
    )
    key = ["tenant", "fhir_base", "patient_id", "dedup_key"]
    op.create_index("cards_by_dedup_key", "cards", key)


def _create_feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("digest", TEXT, primary_key=True),
        _text("received_at"),
        _text("tenant"),
        _text("client"),
        _text("service"),
        _text("card"),
        _text("outcome"),
        _text("outcome_at"),
        _text("accepted_suggestions"),
        sa.Column("reason_system", TEXT, nullable=True),
        sa.Column("reason_code", TEXT, nullable=True),
        sa.Column("reason_display", TEXT, nullable=True),
        sa.Column("user_comment", TEXT, nullable=True),
        sa.Column("known_card", sa.Boolean, nullable=False),
        sa.Column("rule", TEXT, nullable=True),
        sa.Column("version", TEXT, nullable=True),
    )
    op.create_index("feedback_by_rule", "feedback", ["rule", "version"])


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", WHOLE, primary_key=True),
        _text("writer"),
        sa.Column("sequence", WHOLE, nullable=False),
        _text("previous_hash"),
        _text("hash"),
        _text("at"),
        _text("kind"),
        _text("tenant"),
        _text("client"),
        _text("fhir_base"),
        _text("patient_id"),
        _text("detail"),
        sa.UniqueConstraint("writer", "sequence", name="audit_one_chain_a_writer"),
    )
