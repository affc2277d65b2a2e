"""Deliveries of wearable data and of consents to it, from raw body to answer."""

from .alerts import ALERTS
from .consents import CONSENTS
from .delivery import TRIES, Delivery, accept, refusals_audited
from .judging import Acknowledgement, Format, Ingestion, Judged
from .signatures import find_source

__all__ = [
    "ALERTS",
    "CONSENTS",
    "TRIES",
    "Acknowledgement",
    "Delivery",
    "Format",
    "Ingestion",
    "Judged",
    "accept",
    "find_source",
    "refusals_audited",
]
