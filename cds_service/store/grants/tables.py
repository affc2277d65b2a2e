"""The tables of grants and pulls, as SQLAlchemy Core sees them.

They name the wearer as links do, by source and user, and no patient: whose data these
are is the links' to say, from one moment to another.
"""

from sqlalchemy import Column, Index, Table, UniqueConstraint

from ..outbox.tables import EVERY_TABLE as OTHERS
from ..tables import METADATA, TEXT, WHOLE, required_text, required_whole

WEARER = ("tenant", "source", "user")

GRANTS = Table(
    "grants",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    *map(required_text, WEARER),
    *map(required_text, ("vendor_user", "scopes", "access", "refresh")),
    *map(required_text, ("state", "why", "granted")),
    Column("expires_us", WHOLE, nullable=True),
    Column("refresh_begun_us", WHOLE, nullable=True),
    required_whole("epoch"),
    required_text("holder"),
    required_whole("held_until_us"),
    UniqueConstraint(*WEARER, name="grants_once"),
    Index("grants_by_vendor_user", "tenant", "source", "vendor_user"),
)
"""``access`` and ``refresh`` are encrypted, and empty where the grant has ended.
``epoch`` grows with the tokens. Whoever pulls is the ``holder`` until then. A refresh
that began, and whose outcome nobody has written, may have cost the refresh token."""

PULLS = Table(
    "pulls",
    METADATA,
    Column("grant", WHOLE, primary_key=True, autoincrement=False),
    Column("kind", TEXT, primary_key=True),
    Column("until", TEXT, nullable=True),
    *map(required_whole, ("due_us", "failures")),
    required_text("problem"),
)
"""How far each kind of data was pulled: ``until`` is the first day that was not over by
then. After failures nothing is asked before ``due_us``."""

WANTED = Table(
    "wanted_intervals",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    *map(required_text, (*WEARER, "kind")),
    *map(required_whole, ("start_us", "end_us", "noted_us")),
    UniqueConstraint(*WEARER, "kind", "start_us", "end_us", name="wanted_once"),
)
"""What notifications have named, once however often they do. ``user`` is as the vendor
calls the wearer."""

SIGN_INS = Table(
    "sign_ins",
    METADATA,
    Column("state", TEXT, primary_key=True),
    *map(required_text, WEARER),
    *map(required_text, ("verifier", "redirect_uri", "outcome")),
    required_whole("until_us"),
    Column("used_us", WHOLE, nullable=True),
)
"""Permissions that were asked for. ``state`` is the SHA-256 of what the link bears, the
``verifier`` is encrypted, and either is good once."""

SUBSCRIPTIONS = Table(
    "notification_subscriptions",
    METADATA,
    *(Column(name, TEXT, primary_key=True) for name in WEARER),
    *map(required_text, ("base", "asked", "problem")),
    *map(required_whole, ("due_us", "failures")),
    Column("until_us", WHOLE, nullable=True),
)
"""What vendors are asked to notify of: of one wearer, or of all of a source where the
``user`` is empty. ``base`` begins the URLs that were given to the vendor, ``asked`` is
a digest of what was wanted. Nobody looks at it before ``due_us``."""

EVERY_TABLE = (*OTHERS, GRANTS, PULLS, WANTED, SIGN_INS, SUBSCRIPTIONS)
"""Of the schema."""
OF_WEARERS = (GRANTS, WANTED, SIGN_INS, SUBSCRIPTIONS)
"""Each names a user of a source in every row; ``pulls`` goes with its grant."""
SECRET = frozenset({"access", "refresh", "verifier"})
"""Columns that are written out for nobody."""
