"""The tables of the outbox, as SQLAlchemy Core sees them.

No row holds what is sent: that is made of what is kept when it is sent.
"""

from sqlalchemy import Boolean, Column, Index, Table, UniqueConstraint

from ..detection.tables import OF_PATIENTS as OF_DETECTION
from ..samples.tables import PATIENT
from ..tables import METADATA, TEXT, WHOLE, required_text, required_whole

THING = ("destination", *PATIENT, "kind", "thing")
"""What is told to whom."""

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    *map(required_text, THING),
    *map(required_whole, ("rev", "noted_us", "due_us", "attempts")),
    Column("first_us", WHOLE, nullable=True),
    *(Column(name, WHOLE, nullable=True) for name in ("begun_us", "begun_rev")),
    Column("looked_us", WHOLE, nullable=True),
    Column("gone", Boolean, nullable=False),
    *map(required_text, ("state", "problem")),
    UniqueConstraint(*THING, name="outbox_once"),
    Index("outbox_by_state", "destination", "state", "due_us"),
)
"""``rev`` counts the tellings of the thing, ``noted_us`` is its place in the order,
``due_us`` before when it is not told. ``first_us`` is when it was first tried,
``begun_us`` when an attempt began whose outcome nobody knows, ``begun_rev`` the first
telling of which that is so, ``looked_us`` since when it is only looked for. ``gone`` is
a thing that was removed because it did not hold. ``state`` is ``waiting``, ``withheld``
(the patient does not permit it), ``dead``, or ``dropped`` (by an operator, while nobody
knows whether it arrived)."""

TOLD = Table(
    "told",
    METADATA,
    *(Column(name, TEXT, primary_key=True) for name in THING),
    required_whole("rev"),
    *map(required_text, ("remote", "digest", "status")),
    required_whole("told_us"),
)
"""What a destination has; it stays as long as somebody may have to revise it."""

LANES = Table(
    "lanes",
    METADATA,
    *(Column(name, TEXT, primary_key=True) for name in ("destination", *PATIENT)),
    Column("due_us", WHOLE, nullable=True),
    required_whole("not_before_us"),
    required_text("holder"),
    *map(required_whole, ("until_us", "epoch")),
    Index("lanes_by_due", "destination", "due_us"),
)
"""Who alone tells a destination of a patient, until when. ``due_us`` is that of what is
due first, null where nothing waits; after a failure nothing is tried before
``not_before_us``; ``epoch`` grows with each holder."""

DESTINATIONS = Table(
    "destinations",
    METADATA,
    Column("destination", TEXT, primary_key=True),
    *map(required_text, ("tenant", "fhir_base", "takes")),
    *map(required_whole, ("failures", "open_until_us", "sent", "failed")),
    Column("last_success_us", WHOLE, nullable=True),
    required_text("last_problem"),
    Index("destinations_by_patients", "tenant", "fhir_base"),
)
"""``takes`` is what it is told of the patients of a tenant and base, as JSON; empty
where nobody has it in the clients file any more. After failures in a row, as all who
tell it have found, it is left alone until ``open_until_us``. ``sent`` and ``failed``
count attempts."""

IDENTIFIERS = Table(
    "identifiers",
    METADATA,
    Column("id", WHOLE, primary_key=True, autoincrement=False),
    required_text("base"),
)
"""One row: on which address the ids and identifiers rest of all that was told."""

OF_PATIENTS = (OUTBOX, TOLD, LANES, *OF_DETECTION)
"""Each names its patient in every row."""
EVERY_TABLE = METADATA.sorted_tables
"""Of the schema: these, and those that other modules have defined before."""
