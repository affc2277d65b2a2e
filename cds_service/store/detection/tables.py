"""The tables of detection, as SQLAlchemy Core sees them.

Episodes stand in ``wearable_alerts``, beside what vendors tell.
"""

from sqlalchemy import Column, Double, Index, Table

from ..samples.tables import PATIENT
from ..tables import METADATA, TEXT, WHOLE, required_text, required_whole


def _key(name: str) -> Column[str]:
    return Column(name, TEXT, primary_key=True)


STATISTICS = ("min", "max", "mean", "median", "total", "covered", "worn")
SUMMARIES = Table(
    "day_summaries",
    METADATA,
    *map(_key, (*PATIENT, "metric", "day", "part", "source")),
    *map(required_text, ("zone", "bands", "sources", "devices")),
    Column("minutes", Double, nullable=False),
    *map(required_whole, ("n", "version", "computed_us")),
    *(Column(each, Double, nullable=True) for each in STATISTICS),
    Column("first_us", WHOLE, nullable=True),
    Column("last_us", WHOLE, nullable=True),
)
"""``day`` is a date of the ``zone``; ``bands`` is a JSON object, ``sources`` and
``devices`` are JSON lists. They stay when the samples that they were made of go."""

TALLIES = Table(
    "detector_days",
    METADATA,
    *map(_key, (*PATIENT, "detector", "day", "source")),
    required_whole("judged"),
    required_text("not_judged"),
    required_whole("opened"),
    Column("judged_by", TEXT, nullable=False, server_default=""),
    Index("detector_days_by_day", "day"),
)
"""``not_judged`` is a JSON object, how many by reason; ``judged_by`` is the content of
the detector, empty where nobody knows."""

OWN_LIMITS = Table(
    "own_limits",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    *map(required_text, (*PATIENT, "detector")),
    Column("value", Double, nullable=False),
    required_whole("since_us"),
    Column("until_us", WHOLE, nullable=True),
    *map(required_text, ("set_by", "set")),
    Index("own_limits_by_patient", *PATIENT, "detector"),
)
"""What the clinic has set for one patient; ``value`` is in the detector's unit."""

DUE = Table(
    "detection_due",
    METADATA,
    *map(_key, (*PATIENT, "metric")),
    Column("from_us", WHOLE, primary_key=True, autoincrement=False),
    *map(required_whole, ("to_us", "noted_us")),
    required_text("why"),
)
"""Samples of this time, both ends included, are to be judged still; ``noted_us`` is
since when."""

OF_PATIENTS = (SUMMARIES, TALLIES, OWN_LIMITS, DUE)
"""Each names its patient in every row."""
