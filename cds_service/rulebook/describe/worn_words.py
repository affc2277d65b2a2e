"""Days and streams of wearables, as a clinician would say them. Markdown."""

from ..engine.facts import Fact
from ..engine.rows.selectors import DayValue, Silence, Unjudged
from ..values.escaping import inert

_VALUES = {
    "mean": "the day's mean",
    "min": "the day's lowest value",
    "max": "the day's highest value",
    "median": "the day's median",
    "total": "the day's total",
    "worn": "for how long it was worn",
}


def value_words(fact: Fact, asked: DayValue, last: str) -> str:
    """Return the number that days have, as the subject of a sentence.

    Args:
        last: How far back the fact looks, such as `` of the last 7 days``.
    """
    return f"{_title(fact)} by wearables ({_statistic(asked)}){last}"


def readings_words(fact: Fact, last: str) -> str:
    """Return what is counted of days."""
    return f"readings for {_title(fact)} by wearables{last}"


def presence_words(fact: Fact, last: str, present: bool) -> str:
    """Return that there are data of days, or none, as a sentence."""
    some = "data" if present else "no data"
    return f"there are {some} for {_title(fact)} by wearables{last}"


def days_words(fact: Fact, said: str, last: str) -> str:
    """Return on how many days there are data, as a sentence."""
    return f"there are data for {_title(fact)} by wearables on {said} days{last}"


def coverage_words(fact: Fact, said: str, last: str) -> str:
    """Return how much of the days is told, as a sentence."""
    share = f"the share of the time{last} for which"
    return f"{share} readings for {_title(fact)} by wearables speak is {said}"


def stream_words(
    fact: Fact, asked: Silence | Unjudged, last: str, present: bool
) -> str:
    """Return that something is silent or was not judged, or not so."""
    title = _title(fact)
    if isinstance(asked, Silence):
        if present:
            return (
                f"{title} was agreed, and no source has told of it for {asked.length}"
            )
        return f"{title} was not agreed, or was told of in the last {asked.length}"
    what = "what it could not judge" if present else "nothing that it could not judge"
    return f"the detector {title} met {what}{_why(asked)}{last}"


def counted_words(fact: Fact, asked: Silence | Unjudged, last: str) -> str:
    """Return what is counted of streams, in the plural."""
    if isinstance(asked, Silence):
        return f"streams of {_title(fact)}, all silent for {asked.length}"
    met = f"on which the detector {_title(fact)} met what it could not judge"
    return f"days{last} {met}{_why(asked)}"


def _title(fact: Fact) -> str:
    return f"*{inert(fact.title or fact.name)}*"


def _statistic(asked: DayValue) -> str:
    band = asked.statistic.partition(":")[2].replace("-", " ")
    said = _VALUES.get(asked.statistic) or f"the day's share that is *{inert(band)}*"
    return said.replace("day's", "night's") if asked.part == "night" else said


def _why(asked: Unjudged) -> str:
    reasons = sorted(each.replace("-", " ") for each in asked.reasons)
    return f" ({' or '.join(reasons)})" if reasons else ""
