"""The page of a detector: what it detects in sentences, its params, tests, evidence."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ....wearables.metrics import Catalogue
from ...compile.detector_checks import unit_of
from ...compile.params import number_or_duration
from ...engine.rulebook import Rulebook
from ...language.criterion_tree import Amount
from ...language.detectors import DetectorTree
from ...language.document import Document
from ...values.intervals import RISING
from ..rule_page import ParamWords, history_of, param_words, tell_governance

_COMPARED = {
    "above": "above",
    "at_least": "at or above",
    "below": "below",
    "at_most": "at or below",
}
_STATISTICS = {
    "mean": "mean",
    "median": "median",
    "min": "least value",
    "max": "greatest value",
    "total": "total",
    "coverage": "covered share",
    "worn": "worn minutes",
}


@dataclass(frozen=True, slots=True)
class DetectorPage:
    """One detector."""

    tree: DetectorTree
    status: tuple[str, ...]
    opens: str
    """When an episode opens."""
    more: tuple[str, ...]
    """What else is asked, when it is over, and what becomes of it."""
    params: tuple[ParamWords, ...]
    tests: tuple[tuple[str, str], ...]
    """Name and expectation of each."""
    history: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return everything that the page says, as plain data."""
        governance = self.tree.governance
        return {
            "detector": self.tree.name,
            "version": self.tree.version,
            "title": self.tree.title,
            "file": self.tree.document.file,
            "metric": self.tree.metric,
            "raises": self.tree.raises,
            "status_in_words": list(self.status),
            "opens": self.opens,
            "more": list(self.more),
            "params": [each.as_json() for each in self.params],
            "tests": [{"name": name, "expect": said} for name, said in self.tests],
            "evidence": [
                {"citation": each.citation, "url": each.url, "year": each.year}
                for each in governance.evidence
            ],
            "unconfirmed": list(governance.unconfirmed),
            "changes": list(self.history),
        }


def build_detector_page(
    tree: DetectorTree,
    rulebook: Rulebook,
    documents: Mapping[str, Document],
    changelog: str = "",
) -> DetectorPage:
    """Return the page of a detector; *changelog* is the text of the change log."""
    tuned = _tuned(tree, documents)
    words = _Words(tree, rulebook.catalogue, tuned)
    return DetectorPage(
        tree=tree,
        status=tuple(_status(tree, rulebook)),
        opens=words.opens(),
        more=tuple(words.more()),
        params=tuple(_params(tree, tuned)),
        tests=tuple(_tests(tree, documents)),
        history=history_of(tree.name, changelog),
    )


def _tuned(tree: DetectorTree, documents: Mapping[str, Document]) -> Mapping[str, Any]:
    """What the site makes of the params."""
    site = documents.get("site.yaml")
    found = site.value(("detectors", tree.name, "params")) if site else None
    return found or {}


def _params(tree: DetectorTree, tuned: Mapping[str, Any]) -> Iterator[ParamWords]:
    for name, node in tree.params.items():
        here = number_or_duration(tuned.get(name)) or node.default.quantity
        assert here is not None
        yield param_words(node, here)


def _status(tree: DetectorTree, rulebook: Rulebook) -> Iterator[str]:
    held = rulebook.detectors.get(tree.name)
    status = held.status if held else tree.status if tree.status in _IDLE else "draft"
    yield _STATUS[status]
    if status != tree.status:
        yield f"The file says {tree.status}; the site decides otherwise."
    shown = "rules still use its episodes" if status == "active" else ""
    yield from tell_governance(tree.governance, tree.replaced_by, shown)


_IDLE = ("draft", "retired")
_STATUS = {
    "draft": "Draft: nothing is detected.",
    "shadow": "Shadow: its episodes are stored, but no rule uses them.",
    "active": "Active: its episodes are stored, and rules use them.",
    "retired": "Retired: nothing is detected any more.",
}


def _tests(
    tree: DetectorTree, documents: Mapping[str, Document]
) -> Iterator[tuple[str, str]]:
    path = tree.document.file.removesuffix(".yaml") + ".test.yaml"
    document = documents.get(path)
    for case in document.data.get("cases", ()) if document else ():
        todo = f" (a known gap: {case['todo']})" if "todo" in case else ""
        yield case["name"], _expected(case["expect"]) + todo


def _expected(expect: Any) -> str:
    if expect == "none":
        return "nothing is detected"
    said = []
    for each in expect.get("episodes", ()):
        closing = each.get("closing", "")
        ending = f", {_CLOSINGS[closing]}" if closing else ""
        said.append(f"opens at {each['opened']}{ending}")
    if "not_judged" in expect:
        reasons = ", ".join(expect["not_judged"]).replace("-", " ")
        said.append(f"not judged: {reasons}")
    return "; ".join(said)


_CLOSINGS = {
    "lasts": "and lasts",
    "recovered": "and is over",
    "no-data": "and ends with the readings",
}


class _Words:
    """Sentences about one detector, with the numbers that hold at the site."""

    def __init__(
        self, tree: DetectorTree, catalogue: Catalogue, tuned: Mapping[str, Any]
    ) -> None:
        self.tree = tree
        self.node = tree.pattern
        self.catalogue = catalogue
        self.tuned = tuned
        self.metric = catalogue.metrics[tree.metric]
        self.unit = unit_of(tree.pattern, self.metric)

    def opens(self) -> str:
        """Return when an episode opens, in one sentence."""
        return f"An episode opens when {_OPENS[self.node.kind](self)}."

    def more(self) -> Iterator[str]:
        """Yield what else is asked, when it is over, and what becomes of it."""
        yield from _MORE[self.node.kind](self)
        alert = self.catalogue.alert_types.get(self.tree.raises)
        title = f"“{alert.title}” ({self.tree.raises})" if alert else self.tree.raises
        yield f"An episode is a wearable alert {title}."
        for name in self.tree.own:
            node = self.tree.params[name]
            bounds = (node.least, node.most)
            low, high = (each.written if each else "…" for each in bounds)
            yield (
                f"A patient may have a limit of their own, from {low} to {high} "
                f"{self.unit}: what the clinic set goes before what is set on the "
                "device, and both before the limit here."
            )
        yield (
            f"What opened more than {self.said(self.tree.lateness)} before it was "
            "known is history, and raises no more than an info card."
        )
        again = self.said(self.tree.recurrence)
        yield f"What opens within {again} of another is the same matter again."

    def sustained(self) -> str:
        at_rest = ", at rest" if self.node.rest else ""
        return f"{self.subject} has been {self.beyond} for {self.of('for')}{at_rest}"

    def of_sustained(self) -> Iterator[str]:
        yield (
            f"Readings speak for at least {self.share('coverage')} of that time: one "
            f"speaks until the next one, and for {self.of('speaks_for')} at most."
        )
        if "late_start" in self.node.amounts and self.tree.says(
            *self.node.path, "late_start"
        ):
            yield f"Of its beginning {self.of('late_start')} need no reading."
        yield (
            f"At least {self.share('share')} of what they speak for is beyond the "
            f"limit, in at least {self.of('readings')} readings."
        )
        yield from self.rest()
        yield (
            f"It is over when all has been {self.clear} for {self.of('recovery')}; "
            f"without readings for {self.of('silence')} it ends without having "
            "recovered."
        )

    def rest(self) -> Iterator[str]:
        rest = self.node.rest
        if rest is None:
            return
        proof = self.catalogue.metrics.get(rest.metric)
        title = proof.title.lower() if proof else rest.metric
        amounts = {key: self.said(each) for key, each in rest.amounts.items()}
        yield (
            "At rest is who the reading itself says to be, or who in the "
            f"{amounts['lookback']} before had no more than {amounts['per_minute']} "
            f"{title} a minute, told in intervals of {amounts['longest']} at most, of "
            f"at least {_percent(amounts['covered'])} of that time. "
            "Where nothing proves rest nor movement, it is not judged."
        )

    def days(self) -> str:
        return (
            f"{self.statistic} has been {self.beyond} on {self.of('days')} of the last "
            f"{self.of('of')} {self.part}s"
        )

    def shift(self) -> str:
        side = "above" if self.node.comparison == "rises_by" else "below"
        assert self.node.limit is not None
        return (
            f"{self.statistic} has been {self.said(self.node.limit)} {self.unit} or "
            f"more, and {self.of('deviations')} standard deviations or more, {side} "
            f"the person's own baseline on {self.of('days')} {self.part}s, one after "
            "the other"
        )

    def of_shift(self) -> Iterator[str]:
        yield (
            f"The baseline is the median of {self.of('baseline_days')} days, of which "
            f"{self.of('valid_days')} count at least; the last "
            f"{self.of('left_out_days')} are no part of it. A standard deviation is "
            "reckoned as 1.4826 of the median absolute deviation."
        )
        yield from self.of_days()

    def of_days(self) -> Iterator[str]:
        if self.tree.says(*self.node.path, "coverage"):
            share = self.share("coverage")
            yield f"A {self.part} counts if readings speak for at least {share} of it."

    def gain(self) -> str:
        steps = [
            f"{self.said(each.at_least)} {self.unit} or more in "
            f"{_days(self.said(each.days))}"
            for each in self.node.steps
        ]
        return f"{self.subject} has risen by {' or '.join(steps)}, on the same device"

    def of_gain(self) -> Iterator[str]:
        most = self.of("implausible")
        yield f"More than {most} {self.unit} in a day is somebody else's reading."

    def decline(self) -> str:
        return (
            f"the median of {self.statistic} of the last {self.of('recent_days')} days "
            f"lies {self.share('by')} or more below that of the "
            f"{self.of('before_days')} days before"
        )

    def of_decline(self) -> Iterator[str]:
        yield (
            f"Of both, {self.of('valid_days')} days count at least; a day counts if "
            f"the device was worn for {self.of('worn')}."
        )

    @property
    def subject(self) -> str:
        return self.metric.title.lower()

    @property
    def part(self) -> str:
        return self.node.words.get("part", "day")

    @property
    def statistic(self) -> str:
        word = self.node.words["statistic"]
        band = word.removeprefix("band:")
        if band != word:
            return f"the share of {self.subject} {band.replace('-', ' ')}"
        return f"the {_STATISTICS[word]} of {self.subject}"

    @property
    def beyond(self) -> str:
        assert self.node.limit is not None
        limit = self.said(self.node.limit)
        unit = "" if self.unit == "1" else f" {self.unit}"
        return f"{_COMPARED[self.node.comparison]} {limit}{unit}"

    @property
    def clear(self) -> str:
        rising = self.node.comparison in RISING
        side = "below" if rising else "above"
        if "clear" in self.node.amounts:
            return f"{side} {self.of('clear')} {self.unit}"
        by = self.of("clear_by")
        if by == "0":
            return f"{side} the limit"
        return f"{by} {self.unit} or more {side} the limit"

    def share(self, key: str) -> str:
        return _percent(self.of(key))

    def of(self, key: str) -> str:
        return self.said(self.node.amounts[key])

    def said(self, amount: Amount) -> str:
        """An amount, as it holds at the site."""
        if amount.param:
            default = self.tree.params[amount.param].default.written
            return str(self.tuned.get(amount.param, default))
        return str(amount.written)


def _percent(share: str) -> str:
    return f"{float(share):.0%}".replace("%", " %")


def _days(count: str) -> str:
    return "a day" if count == "1" else f"{count} days"


_OPENS = {
    "sustained": _Words.sustained,
    "days": _Words.days,
    "shift": _Words.shift,
    "gain": _Words.gain,
    "decline": _Words.decline,
}
_MORE = {
    "sustained": _Words.of_sustained,
    "days": _Words.of_days,
    "shift": _Words.of_shift,
    "gain": _Words.of_gain,
    "decline": _Words.of_decline,
}
