"""Deliveries of wearable data and of consents to it, from raw body to answer."""

from .alerts import ALERTS, AlertJudge
from .consents import CONSENTS, ConsentJudge
from .delivery import Judge, Judged, Reply, accept, refusals_audited
from .signatures import find_source

__all__ = [
    "ALERTS",
    "CONSENTS",
    "AlertJudge",
    "ConsentJudge",
    "Judge",
    "Judged",
    "Reply",
    "accept",
    "find_source",
    "refusals_audited",
]
