"""Detection: episodes beside vendors' alerts, days, own limits, and what is due."""

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import TEXT, WHOLE

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

PATIENT = ("tenant", "fhir_base", "patient_id")


def upgrade() -> None:
    """Add the columns and the tables."""
    for column in _of_episodes():
        op.add_column("wearable_alerts", column)
    lasting = sa.text("status = 'open' AND detector <> ''")
    op.create_index(
        "episodes_that_last",
        "wearable_alerts",
        ["last_utc"],
        sqlite_where=lasting,
        postgresql_where=lasting,
    )
    op.create_table(
        "day_summaries",
        *_keys(*PATIENT, "metric", "day", "part", "source"),
        *_texts("zone", "bands", "sources", "devices"),
        sa.Column("minutes", sa.Double, nullable=False),
        *_wholes("n", "version", "computed_us"),
        *_maybe("min", "max", "mean", "median", "total", "covered", "worn"),
        sa.Column("first_us", WHOLE, nullable=True),
        sa.Column("last_us", WHOLE, nullable=True),
    )
    op.create_table(
        "detector_days",
        *_keys(*PATIENT, "detector", "day", "source"),
        *_wholes("judged"),
        *_texts("not_judged"),
        *_wholes("opened"),
    )
    op.create_index("detector_days_by_day", "detector_days", ["day"])
    op.create_table(
        "own_limits",
        sa.Column("id", WHOLE, primary_key=True),
        *_texts(*PATIENT, "detector"),
        sa.Column("value", sa.Double, nullable=False),
        *_wholes("since_us"),
        sa.Column("until_us", WHOLE, nullable=True),
        *_texts("set_by", "set"),
    )
    op.create_index("own_limits_by_patient", "own_limits", [*PATIENT, "detector"])
    op.create_table(
        "detection_due",
        *_keys(*PATIENT, "metric"),
        sa.Column("from_us", WHOLE, primary_key=True, autoincrement=False),
        *_wholes("to_us", "noted_us"),
        *_texts("why"),
    )


def _of_episodes() -> list[sa.Column[object]]:
    return [
        *(
            sa.Column(name, TEXT, nullable=False, server_default="")
            for name in ("detector", "version", "closing", "replaced_by")
        ),
        sa.Column("last_utc", sa.Double, nullable=True),
        sa.Column("median", sa.Double, nullable=True),
        sa.Column("stored_us", WHOLE, nullable=True),
        sa.Column("historical", sa.Boolean, nullable=False, server_default=sa.false()),
    ]


def _keys(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, TEXT, primary_key=True) for name in names]


def _texts(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, TEXT, nullable=False) for name in names]


def _wholes(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, WHOLE, nullable=False) for name in names]


def _maybe(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, sa.Double, nullable=True) for name in names]
