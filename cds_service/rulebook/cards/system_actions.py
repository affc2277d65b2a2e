"""System actions of a card: what is done without a person, where nothing is in doubt.

Nobody looks at them before they are done. So a doubt that a clinician would settle
keeps them back; the card is shown all the same.

Source: CDS Hooks 3.0.0 "System Action".
"""

from collections.abc import Mapping

from ...protocol.cards import Action, Suggestion
from ..engine.criteria import newest_is_known
from ..engine.evaluate import Evaluation, evaluate_rule
from ..engine.rules import CardTemplate
from ..engine.series import newest
from .suggestions import build_actions, build_suggestions, changed_by, occasion_of


def build_system_actions(
    template: CardTemplate,
    evaluation: Evaluation,
    call: Mapping[str, str | None] = {},
) -> tuple[Action, ...]:
    """All system actions of the card of a rule that fires; none where in doubt.

    What the card offers to a person is not done without one. Whether the rule is
    approved is not asked here: its tests are written before it is. No user is named as
    who asks for it, since nobody does.
    """
    if not template.system_actions:
        return ()
    sure = _passing_over_nothing(evaluation)
    changed = [each.fact for each in template.system_actions if each.fact]
    if not _is_certain(sure, template) or not all(_knows(sure, f) for f in changed):
        return ()
    occasion = occasion_of(sure, {"encounter": call.get("encounter")})
    actions = build_actions(template.system_actions, sure, occasion) or ()
    offered = offered_by(build_suggestions(template.suggestions, sure))
    return actions if offered.isdisjoint(changed_by(actions)) else ()


def offered_by(suggestions: tuple[Suggestion, ...]) -> frozenset[str]:
    """``Type/id`` of every record that a person is offered to change."""
    return changed_by(action for each in suggestions for action in each.actions)


def _passing_over_nothing(evaluation: Evaluation) -> Evaluation:
    """The evaluation, where the site passes over entries that may be meant, without."""
    case = evaluation.case.heeding_unresolved()
    if case is evaluation.case:
        return evaluation
    return evaluate_rule(evaluation.rule, case)


def _is_certain(evaluation: Evaluation, template: CardTemplate) -> bool:
    """Check if this card, and no other, certainly is due, by codes and not by names."""
    in_doubt = evaluation.severity_uncertain or evaluation.by_name
    return evaluation.card is template and not in_doubt


def _knows(evaluation: Evaluation, fact: str) -> bool:
    """Check if it is certain, and not by a name alone, which record is the newest."""
    case = evaluation.case
    found = case.found(evaluation.rule.facts[fact])
    rows = newest(found.rows) if found.rows else []
    if len({row.reference for row in rows}) != 1 or any(row.by_name for row in rows):
        return False
    return not found.doubts(unresolved=False) or newest_is_known(case, found)
