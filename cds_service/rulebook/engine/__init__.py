"""A rulebook, a chart and a time in; evaluations with their reasons out."""

from .alerting import ANY_REASON, AboutData, Alerting, Display, Lookback
from .case import Case
from .evaluate import (
    Evaluation,
    Evaluations,
    Outcome,
    evaluate,
    evaluate_rule,
    open_case,
    wearables_asked,
)
from .medicines import MedicinesTaken, MedicineTaken, medicines_taken
from .rows.indexing import ALERTS
from .rows.selectors import Selector
from .rulebook import Program, Rulebook, ServiceRules
from .rules import CheckResource, Rule

__all__ = [
    "ALERTS",
    "ANY_REASON",
    "AboutData",
    "Alerting",
    "Case",
    "CheckResource",
    "Display",
    "Evaluation",
    "Evaluations",
    "Lookback",
    "MedicineTaken",
    "MedicinesTaken",
    "Outcome",
    "Program",
    "Rule",
    "Rulebook",
    "Selector",
    "ServiceRules",
    "evaluate",
    "evaluate_rule",
    "medicines_taken",
    "open_case",
    "wearables_asked",
]
