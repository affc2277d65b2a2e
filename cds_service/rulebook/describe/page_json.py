"""The page of a rule as plain data, for tools."""

from typing import Any

from ..engine.rules import SuggestionTemplate
from .prose import CardWords
from .rule_page import Page
from .valueset_words import ValueSetWords


def page_json(page: Page) -> dict[str, Any]:
    """Everything that the page says."""
    rule, logic = page.source.rule, page.logic
    return {
        "rule": rule.id,
        "version": rule.version,
        "title": rule.title,
        "file": rule.file,
        "status": rule.status,
        "status_in_words": list(page.status),
        "services": list(page.services),
        "logic": {
            "patients": logic.patients,
            "shown_when": [each.as_json() for each in logic.shown],
            "not_shown_when": [each.as_json() for each in logic.hidden],
            "unknown": list(logic.unknown),
            "scores": [
                {"title": title, "items": [each.as_json() for each in items]}
                for title, items in logic.scores
            ],
        },
        "cards": [
            {**_card(words), "suggestions": [*map(_suggestion, card.suggestions)]}
            for words, card in zip(logic.cards, rule.cards, strict=True)
        ],
        "alerting": list(page.alerting),
        "params": [each.as_json() for each in page.params],
        "valuesets": [_valueset(each) for each in page.valuesets],
        "tests": [{"name": name, "expect": expect} for name, expect in page.tests],
        "evidence": [
            {"citation": each.citation, "url": each.url, "year": each.year}
            for each in rule.evidence
        ],
        "unconfirmed": list(page.unconfirmed),
        "prefetch": dict(page.prefetch),
        "source_attributes": [each.as_json() for each in page.attributes],
        "changes": list(page.history),
    }


def _card(card: CardWords) -> dict[str, Any]:
    return {
        "severity": card.severity,
        "when": card.when.as_json() if card.when else None,
        "summary": card.summary,
        "line": card.line,
    }


def _suggestion(suggestion: SuggestionTemplate) -> dict[str, Any]:
    return {
        "label": suggestion.label,
        "recommended": suggestion.recommended,
        "actions": [
            {
                "type": each.type,
                "description": each.description,
                "reasons": list(each.reasons),
            }
            for each in suggestion.actions
        ],
    }


def _valueset(valueset: ValueSetWords) -> dict[str, Any]:
    return {
        "name": valueset.name,
        "title": valueset.title,
        "version": valueset.version,
        "facts": list(valueset.facts),
        "systems": [
            {
                "system": each.system,
                "count": len(each.exact),
                "codes": list(each.exact),
                "under": list(each.under),
                "left_out": each.excluded,
            }
            for each in valueset.groups
        ],
        "names": list(valueset.names),
        "results": list(valueset.results),
        "sources": list(valueset.sources),
    }
