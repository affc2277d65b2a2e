"""What can be wrong with what ``metrics.yaml`` says of days and nights.

A share of a day that lies in no band, or in two, a value that no day has, and a metric
that follows from nothing would all be told as numbers, and be wrong.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document, Path

Body = Mapping[str, Any]
OF_READINGS = ("names", "codes", "cumulative", "at_rest", "speaks_for", "bands")
"""What nothing has that follows from another metric."""


def check_summaries(document: Document, findings: Findings) -> None:
    """Report what is wrong with days and nights in a file of the right shape."""
    metrics: Mapping[str, Body] = document.data["metrics"]
    for name, body in metrics.items():
        where = ("metrics", name)
        for path, message, help in _bands(where, body.get("bands", {})):
            findings.error(document, path, "CDS255", message, help)
        for path, message, help in _values(where, body, metrics):
            findings.error(document, path, "CDS256", message, help)
        for path, message, help in _others(where, body, metrics):
            findings.error(document, path, "CDS257", message, help)
        for path, message, help in _at_odds(where, body):
            findings.error(document, path, "CDS258", message, help, key=True)
    for path, message, help in _night(document.data):
        findings.error(document, path, "CDS259", message, help)


Told = tuple[Path, str, str]
"""A place, what is wrong there, and what helps."""


def _bands(where: Path, bands: Mapping[str, list[float | None]]) -> Iterator[Told]:
    below: float | None = None
    last = len(bands) - 1
    for place, (name, (low, high)) in enumerate(bands.items()):
        path = (*where, "bands", name)
        if place == 0 and low is not None:
            yield path, f"no band covers values below {low:g}", "begin with `null`"
        elif place and (low is None or low != below):
            shown = "null" if below is None else f"{below:g}"
            message = f"the band before {quote(name)} ends at {shown}"
            yield path, message, "begin where it ends"
        elif low is not None and high is not None and not low < high:
            help = "write where it begins first, then where it ends"
            yield path, f"no value lies between {low:g} and {high:g}", help
        elif place == last and high is not None:
            yield path, f"no band covers {high:g} and more", "end with `null`"
        below = high


def _values(
    where: Path, body: Body, metrics: Mapping[str, Body]
) -> Iterator[tuple[Path, str, str]]:
    for name in body.get("summary_codes", {}):
        told = metrics.get(body["derived"]["from"], {}) if "derived" in body else body
        if name not in _statistics(body, told):
            message = f"days of this metric have no {quote(name)}"
            help = suggest(name, _statistics(body, told))
            yield (*where, "summary_codes", name), message, help
    derived = body.get("derived", {})
    source = metrics.get(derived.get("from", ""))
    if source is not None and derived["summary"] not in _statistics(source, source):
        message = f"days of {quote(derived['from'])} have no {derived['summary']}"
        help = suggest(derived["summary"], _statistics(source, source))
        yield (*where, "derived", "summary"), message, help


def _statistics(body: Body, source: Body) -> tuple[str, ...]:
    """What a day has of a metric; *source* is what it follows from, or itself."""
    if "derived" in body:
        return ("mean", "coverage") if "speaks_for" in source else ("mean",)
    if body.get("cumulative"):
        return ("total",)
    names = ["min", "max", "mean", "median"]
    if "speaks_for" in body:
        names += ["coverage", *(f"band:{each}" for each in body.get("bands", {}))]
    return (*names, "worn") if "proves_wear" in body else tuple(names)


def _others(where: Path, body: Body, metrics: Mapping[str, Body]) -> Iterator[Told]:
    named: list[tuple[Path, str]] = [
        ((*where, "includes", index), name)
        for index, name in enumerate(body.get("includes", ()))
    ]
    if "derived" in body:
        named.append(((*where, "derived", "from"), body["derived"]["from"]))
    if "shown_with" in body:
        named.append(((*where, "shown_with"), body["shown_with"]))
    for path, name in named:
        other = metrics.get(name)
        if other is None:
            help = suggest(name, metrics) or "name a metric of this file"
            yield path, f"there is no metric {quote(name)} in metrics.yaml", help
        elif name == where[1]:
            yield path, "a metric cannot be derived from itself", "name another one"
        elif "derived" in other:
            message = (
                f"{quote(name)} is itself derived from"
                f" {quote(other['derived']['from'])}"
            )
            yield path, message, "name a metric that has readings"
        elif path[2] == "includes" and not _alike(body, other):
            message = (
                f"{quote(name)} cannot be a part of it: its values are not such sums"
            )
            yield path, message, "name cumulative metrics with the same unit"
        elif path[2] == "shown_with" and body["unit"] != other["unit"]:
            message = f"{quote(name)} is in {quote(other['unit'])}"
            yield path, message, "name a metric of the same unit"


def _alike(body: Body, other: Body) -> bool:
    both = (body.get("cumulative"), other.get("cumulative"))
    return all(both) and body["unit"] == other["unit"]


def _at_odds(where: Path, body: Body) -> Iterator[Told]:
    cumulative = body.get("cumulative", False)
    wrong: list[tuple[str, str, str]] = []
    if "derived" in body:
        message = "a derived metric has no readings of its own"
        wrong += [(each, message, "leave it out") for each in OF_READINGS]
    elif cumulative:
        message = "a sum is about its own interval, and no other time"
        wrong += [(each, message, "leave it out") for each in ("speaks_for", "bands")]
    elif "speaks_for" not in body:
        message = "time in a band is known only with `speaks_for`"
        wrong.append(("bands", message, "write `speaks_for`"))
    if not cumulative:
        message = "time asleep is a sum over its interval"
        wrong.append(("sleep", message, "write `cumulative: true`"))
    for key, message, help in wrong:
        if key in body:
            yield (*where, key), message, help


def _night(data: Body) -> Iterator[Told]:
    night = data.get("night")
    if night is None:
        for name in _asleep(data["metrics"]):
            message = "time asleep belongs to a night, and no night is defined"
            yield ("metrics", name, "sleep"), message, "write `night` above `metrics`"
    elif night["from"] == night["to"]:
        message = "the night ends when it begins"
        yield ("night", "to"), message, "write when it ends"
    elif not _apart(night["from"], night["to"], night["sleep_from"]):
        message = "nights would be cut in two"
        help = "write a time of the day, such as that of the evening meal"
        yield ("night", "sleep_from"), message, help


def _asleep(metrics: Mapping[str, Body]) -> Iterable[str]:
    return (name for name, body in metrics.items() if body.get("sleep"))


def _apart(begin: str, end: str, other: str) -> bool:
    """Check that a time of day is not after the begin and before the end."""
    if begin < end:
        return not begin < other < end
    return end <= other <= begin
