"""Rules, what became of them in a case, and the cards that are drafted from that."""

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from cds_service.fhir.chart import Chart, Source, SourceState
from cds_service.fhir.code_systems import SYSTEMS
from cds_service.protocol.cards import CardSource, Indicator
from cds_service.protocol.services import Service
from cds_service.rulebook.cards.cards import BuiltCard, draft_cards, identify
from cds_service.rulebook.engine.alerting import Alerting
from cds_service.rulebook.engine.case import Case
from cds_service.rulebook.engine.evaluate import Evaluation, Evaluations, Outcome
from cds_service.rulebook.engine.facts import Criterion, Fact
from cds_service.rulebook.engine.rows.selectors import Selector, Selectors
from cds_service.rulebook.engine.rules import (
    CardTemplate,
    Rule,
)
from cds_service.rulebook.language.document import Position
from cds_service.rulebook.terminology.valuesets import ValueSet
from cds_service.rulebook.values.text import parse_template
from cds_service.rulebook.values.truth import Reason
from cds_service.wearables.worn import Wearables

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SERVICE = Service("wearable-review", "patient-view", "Wearable review", "Reviews.")
SELECTORS = Selectors(
    [Selector("medication", "beta-blockers", status="current")],
    {
        "beta-blockers": ValueSet(
            "beta-blockers",
            codes={SYSTEMS["rxnorm"]: frozenset({"866436"})},
            names=("metoprolol",),
        )
    },
)
DRUG = Fact("drug", "medication", (0,), 0, ("medication",), title="Beta-blockers")
ALERT = Fact("watch_alert", "wearable_alert", (), 1, ("wearable_alert",))
ORDER: dict[str, Any] = {
    "resourceType": "MedicationRequest",
    "id": "m1",
    "status": "active",
    "intent": "order",
    "subject": {"reference": "Patient/p1"},
    "medicationCodeableConcept": {
        "coding": [{"system": SYSTEMS["rxnorm"], "code": "866436"}],
        "text": "Metoprolol *ER* 50 mg",
    },
    "authoredOn": "2026-10-01",
    "_authoredOn": {"extension": [{"url": "http://x.test", "valueCode": "y"}]},
    "somethingUnknown": {"kept": [1, {"as": "it is"}]},
}
TRUE = Criterion("all", Position(1, 1), lambda case: True)


def chart(*orders: dict[str, Any], **states: SourceState) -> Chart:
    sources = {
        name: Source(name, states.get(name, SourceState.LOADED))
        for name in ("conditions", "medication_statements", "observations")
    }
    state = states.get("medication_requests", SourceState.LOADED)
    sources["medication_requests"] = Source("medication_requests", state, orders)
    return Chart("p1", {"resourceType": "Patient", "id": "p1"}, sources)


def case(*orders: dict[str, Any], **states: SourceState) -> Case:
    return Case(SELECTORS, chart(*orders, **states), Wearables(), NOW, UTC, False, None)


def card(severity: Indicator = Indicator.WARNING, **parts: Any) -> CardTemplate:
    summary = parse_template(parts.pop("summary", "Review the drug"))
    detail = parse_template(parts.pop("detail", "Why."))
    source = CardSource("Committee", "https://example.org")
    return CardTemplate(
        parts.pop("index", 0), severity, None, summary, detail, source, **parts
    )


def rule(id: str = "a-rule", **parts: Any) -> Rule:
    settings: dict[str, Any] = {
        "id": id,
        "version": "1.0.0",
        "title": "Beta-blocker & pulse",
        "file": f"rules/{id}.yaml",
        "status": "active",
        "approved": True,
        "served": True,
        "hooks": ("patient-view",),
        "facts": {"drug": DRUG, "watch_alert": ALERT},
        "params": MappingProxyType({}),
        "when": TRUE,
        "if_unknown": "silent",
        "cards": (card(),),
    }
    return Rule(**{**settings, **parts})


def once_per(*names: str, id: str = "a-rule") -> Rule:
    return rule(id, alerting=Alerting(once_per=names))


def draft(of: Rule, call: dict[str, str | None], **parts: Any) -> tuple[BuiltCard, ...]:
    fired = fires(of=of, **parts)
    return draft_cards(Evaluations((fired,), fired.case), SERVICE, call)


def fires(
    template: CardTemplate | None = None, of: Rule | None = None, **parts: Any
) -> Evaluation:
    seen = parts.pop("case", None) or case(ORDER)
    return Evaluation(of or rule(), seen, Outcome.FIRES, template or card(), **parts)


def unknown(*reasons: Reason, of: Rule | None = None, **parts: Any) -> Evaluation:
    seen = parts.pop("case", None) or case(ORDER)
    parts.setdefault("could_not_check", True)
    return Evaluation(of or rule(), seen, Outcome.UNKNOWN, reasons=reasons, **parts)


def build(*evaluations: Evaluation, seed: str = "seed") -> tuple[BuiltCard, ...]:
    return identify(
        draft_cards(Evaluations(evaluations, evaluations[0].case), SERVICE), seed
    )


def detail_of(*evaluations: Evaluation) -> str:
    (built,) = build(*evaluations)
    return built.card.detail
