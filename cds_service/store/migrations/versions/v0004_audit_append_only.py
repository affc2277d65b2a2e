"""No row of the audit trail is changed or removed by a statement of this program."""

from cds_service.store.migrations import refuse_changes

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Have the database itself refuse to change the trail.

    Who owns the database can take the triggers away; the chain of hashes shows what
    was done then.
    """
    refuse_changes("audit", "audit_is_append_only", "the audit trail is append-only")
