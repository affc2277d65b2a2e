"""A rulebook, a chart and a time in; evaluations with their reasons out."""

from .alerting import ANY_REASON, Display, Lookback
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
from .rows.indexing import ALERTS
from .rows.selectors import Selector
from .rulebook import Program, Rulebook, ServiceRules
from .rules import CheckResource, Rule

__all__ = [
    "ALERTS",
    "ANY_REASON",
    "Case",
    "CheckResource",
    "Display",
    "Evaluation",
    "Evaluations",
    "Lookback",
    "Outcome",
    "Program",
    "Rule",
    "Rulebook",
    "Selector",
    "ServiceRules",
    "evaluate",
    "evaluate_rule",
    "open_case",
    "wearables_asked",
]
