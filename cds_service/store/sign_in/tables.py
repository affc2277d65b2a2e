"""The tables of sign-ins and sessions, as SQLAlchemy Core sees them.

What opens a session (states, keys of cookies, tickets) is there as its SHA-256 alone,
and what was granted and told (tokens, context) encrypted. Whoever reads the database
can open none.
"""

from sqlalchemy import Column, Index, Table

from ..grants.tables import EVERY_TABLE as OTHERS
from ..tables import METADATA, TEXT, WHOLE, required_text, required_whole

PENDING = Table(
    "pending_sign_ins",
    METADATA,
    Column("state_hash", TEXT, primary_key=True),
    *map(required_text, ("id", "key_hash", "tenant", "provider", "page", "sealed")),
    *map(required_whole, ("begun_us", "until_us")),
    Column("used_us", WHOLE, nullable=True),
    Index("pending_sign_ins_by_end", "until_us"),
)
"""Who was sent to a server that signs in, and has not come back. ``sealed`` is what has
to be remembered of that, encrypted. A row is good once, for the browser that has the
key."""

SESSIONS = Table(
    "smart_sessions",
    METADATA,
    Column("id", TEXT, primary_key=True),
    *map(required_text, ("key_hash", "launch", "tenant", "client", "fhir_base")),
    required_text("patient_id"),
    *(Column(name, TEXT, nullable=True) for name in ("encounter", "user")),
    *map(required_text, ("scopes", "sealed", "why_ended")),
    *map(required_whole, ("opened_us", "idle_until_us", "until_us")),
    Column("ended_us", WHOLE, nullable=True),
    Index("smart_sessions_by_launch", "launch"),
    Index("smart_sessions_by_patient", "tenant", "fhir_base", "patient_id"),
)
"""Windows about one patient each. ``sealed`` is the reference and the context of the
launch, encrypted, and empty once the session has ended."""

TOKENS = Table(
    "smart_tokens",
    METADATA,
    Column("launch", TEXT, primary_key=True),
    *map(required_text, ("access", "refresh")),
    Column("expires_us", WHOLE, nullable=True),
    *map(required_whole, ("epoch", "held_until_us")),
)
"""Encrypted, one row for all windows of a launch: a refresh token that is used twice
ends its whole family. ``epoch`` grows with them. Who refreshes has the row until
then. It goes with the last window."""

TICKETS = Table(
    "smart_tickets",
    METADATA,
    Column("ticket_hash", TEXT, primary_key=True),
    required_text("session"),
    required_whole("until_us"),
    Column("used_us", WHOLE, nullable=True),
)
"""Each opens one more window of a session, once."""

EVERY_TABLE = (*OTHERS, PENDING, SESSIONS, TOKENS, TICKETS)
"""Of the schema."""
BY_LAUNCH = (TOKENS, TICKETS)
"""Found by way of the sessions, which name their patient in every row."""
SECRET = frozenset({"key_hash", "state_hash", "ticket_hash", "sealed"})
"""Columns that are written out for nobody."""
