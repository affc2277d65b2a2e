"""Deliveries of alerts, readings and consents to them, from raw body to answer."""

from .alerts import ALERTS
from .consents import CONSENTS
from .delivery import TRIES, accept, greet, refusals_audited
from .judging import Acknowledgement, Delivery, Format, Ingestion, Judged, ReadingsTally
from .links import LINKS
from .readings import SAMPLES, SOURCES
from .signatures import find_source

__all__ = [
    "ALERTS",
    "CONSENTS",
    "LINKS",
    "SAMPLES",
    "SOURCES",
    "TRIES",
    "Acknowledgement",
    "Delivery",
    "Format",
    "Ingestion",
    "Judged",
    "ReadingsTally",
    "accept",
    "find_source",
    "greet",
    "refusals_audited",
]
