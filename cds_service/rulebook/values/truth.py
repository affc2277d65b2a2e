"""True, false and unknown with its reasons (Kleene's logic).

An unknown also says whether reading what could not be read might turn it to true or to
false. That is how a rule that is merely lacking a result (`not_recorded`, the normal
case) is told from a rule that could not be checked.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class ReasonKind(StrEnum):
    """Why something is not known."""

    NOT_RECORDED = "not_recorded"
    """Read, and nothing is there."""
    BOUNDARY = "boundary"
    """A range straddles the limit."""
    NOT_READ = "not_read"
    """The source, or a part of it, could not be read."""
    UNUSABLE = "unusable"
    """A row that would matter cannot be used."""
    UNCERTAIN = "uncertain"
    """A row is well recorded, but the record leaves open whether it counts."""
    UNRESOLVED = "unresolved"
    """A row may or may not be meant; its code tells nothing."""


GOVERNED = frozenset({ReasonKind.NOT_RECORDED, ReasonKind.BOUNDARY})
"""What a rule's ``if_unknown`` decides; the others mean that a check failed."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason why something is not known."""

    kind: ReasonKind
    fact: str
    """The name that the rule gave it."""
    sources: tuple[str, ...] = ()
    """Parts of the chart that were not fully read."""
    names: tuple[str, ...] = ()
    """What the record calls the rows in doubt; free text."""
    why: str = ""
    """Why rows cannot be used, or what the record leaves open of them; a phrase without
    anything of a patient."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Neither true nor false, and why."""

    reasons: tuple[Reason, ...]
    may_be_true: bool
    """What could not be read might make it true."""
    may_be_false: bool
    """What could not be read might make it false."""

    def __bool__(self) -> bool:
        raise TypeError("unknown is neither true nor false")


Verdict = bool | Unknown


def unknown(reasons: Iterable[Reason]) -> Unknown:
    """An unknown for *reasons*."""
    reasons = tuple(reasons)
    open_ended = any(each.kind not in GOVERNED for each in reasons)
    return Unknown(reasons, open_ended, open_ended)


def both(left: Unknown, right: Unknown) -> Unknown:
    """Two unknowns of which both must be true."""
    return Unknown(
        _merge(left.reasons, right.reasons),
        left.may_be_true and right.may_be_true,
        left.may_be_false or right.may_be_false,
    )


def either(left: Unknown, right: Unknown) -> Unknown:
    """Two unknowns of which one must be true."""
    return Unknown(
        _merge(left.reasons, right.reasons),
        left.may_be_true or right.may_be_true,
        left.may_be_false and right.may_be_false,
    )


def negate(verdict: Verdict) -> Verdict:
    """Kleene's not."""
    if isinstance(verdict, Unknown):
        return Unknown(verdict.reasons, verdict.may_be_false, verdict.may_be_true)
    return not verdict


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Kleene's and: one false decides, then one unknown."""
    doubt: Unknown | None = None
    for verdict in verdicts:
        if verdict is False:
            return False
        if isinstance(verdict, Unknown):
            doubt = verdict if doubt is None else both(doubt, verdict)
    return True if doubt is None else doubt


def any_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Kleene's or: one true decides, then one unknown."""
    doubt: Unknown | None = None
    for verdict in verdicts:
        if verdict is True:
            return True
        if isinstance(verdict, Unknown):
            doubt = verdict if doubt is None else either(doubt, verdict)
    return False if doubt is None else doubt


def _merge(left: tuple[Reason, ...], right: tuple[Reason, ...]) -> tuple[Reason, ...]:
    return left + tuple(each for each in right if each not in left)
