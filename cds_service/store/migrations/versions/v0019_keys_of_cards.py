"""Cards looked up by a number for their key and their patient, not by both in full."""

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from cds_service.store.tables import WHOLE

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

AT_ONCE = 5000
KEY = ("tenant", "fhir_base", "patient_id", "dedup_key")


def upgrade() -> None:
    """Add the number to what there is, and have the index made of it."""
    op.drop_index("cards_by_dedup_key", "cards")
    column = sa.Column("key_digest", WHOLE, nullable=False, server_default="0")
    op.add_column("cards", column)
    cards = sa.table("cards", *map(sa.column, ("uuid", *KEY, "key_digest")))
    last = ""
    while rows := op.get_bind().execute(_page(cards, last)).all():
        numbered = [{"of": row.uuid, "number": _digest(row)} for row in rows]
        number: sa.BindParameter[int] = sa.bindparam("number")
        same = cards.c.uuid == sa.bindparam("of")
        numbering = sa.update(cards).where(same).values(key_digest=number)
        op.get_bind().execute(numbering, numbered)
        last = rows[-1].uuid
    op.create_index("cards_by_key", "cards", ["key_digest", "shown_at"])


def _page(cards: Any, last: str) -> Any:
    chosen = sa.select(cards).where(cards.c.uuid > last)
    return chosen.order_by(cards.c.uuid).limit(AT_ONCE)


def _digest(row: Any) -> int:
    values = [getattr(row, name) for name in KEY]
    whole = json.dumps(values, separators=(",", ":")).encode()
    return int.from_bytes(hashlib.sha256(whole).digest()[:8], "big", signed=True)
