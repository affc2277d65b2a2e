"""The tables of the workbench's sign-in, as SQLAlchemy Core sees them.

What a browser bears is here as its SHA-256 alone, so that nobody who reads the database
gets in.
"""

from sqlalchemy import Column, Index, Table

from ..sign_in.tables import EVERY_TABLE as OTHERS
from ..tables import METADATA, TEXT, WHOLE, required_text, required_whole

LINKS = Table(
    "workbench_links",
    METADATA,
    Column("link_hash", TEXT, primary_key=True),
    *map(required_text, ("subject", "role")),
    required_whole("until_us"),
    Column("used_us", WHOLE, nullable=True),
)
"""Each is good once."""

SESSIONS = Table(
    "workbench_sessions",
    METADATA,
    Column("key_hash", TEXT, primary_key=True),
    *map(required_text, ("issuer", "subject", "role")),
    *map(required_whole, ("signed_in_us", "idle_until_us", "until_us")),
)
"""``issuer`` is empty for who came by a link; one that has ended is not there."""

RUNS = Table(
    "workbench_runs",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    *map(required_text, ("key_hash", "subject", "rule", "kind", "state", "node")),
    *map(required_whole, ("begun_us", "beat_us")),
    Column("ended_us", WHOLE, nullable=True),
    required_text("result"),
    Index("workbench_runs_by_session", "key_hash", "rule"),
)
"""Long work that somebody asked for; ``beat_us`` is when its process was seen last. It
goes with the session that it was asked for in."""

KEYS = Table(
    "workbench_keys",
    METADATA,
    Column("kid", TEXT, primary_key=True),
    required_text("jwk"),
    required_whole("until_us"),
)
"""Public halves of keys that were made to be thrown away."""

EVERY_TABLE = (*OTHERS, LINKS, SESSIONS, RUNS, KEYS)
"""Of the schema."""
