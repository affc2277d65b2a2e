"""From the data of a rule file to its syntax tree: what each form of the grammar means.

The data hold to the schema of their kind. Of a length of time the schema says how it is
written and not how long it may be; what cannot be read as one stays text, and whoever
needs the length says so.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from ...protocol.cards import CardSource, Coding, Indicator, Link
from ..values.intervals import COMPARISONS, parse_duration
from .criterion_tree import (
    Amount,
    Bound,
    Branch,
    Compared,
    FactTest,
    OnDays,
    PatientTest,
    PresenceTest,
    Repeated,
    RiseOrFall,
    Sustained,
    Test,
    When,
)
from .document import Document, Path
from .tree import (
    EVERY_REASON,
    ONCE_PER,
    ActionNode,
    AlertFact,
    AlertingNode,
    Approval,
    CardNode,
    ConditionFact,
    Evidence,
    FactNode,
    FactTree,
    GovernanceNode,
    JoinedFact,
    MedicationFact,
    ObservationFact,
    ParamNode,
    PeriodNode,
    RuleTree,
    ScoreFact,
    ScoreItem,
    SharedFact,
    SilentFact,
    Snooze,
    SuggestionNode,
    UnjudgedFact,
    WearableFact,
)

Written = Mapping[str, Any]

_BRANCHES = ("all", "any", "none")


def read_rule(document: Document) -> RuleTree:
    """Return the tree of a rule file whose shape is right."""
    data: Written = document.data
    cards = tuple(_cards(data))
    return RuleTree(
        path=(),
        document=document,
        name=data["rule"],
        version=data["version"],
        title=data["title"],
        status=data["status"],
        hooks=tuple(data["hooks"]),
        params=read_params(data.get("params", {})),
        facts={
            name: _fact(*_first(body), ("facts", name))
            for name, body in data["facts"].items()
        },
        when=_when(data["when"], ("when",)),
        deceased=data.get("deceased", ""),
        if_unknown=data.get("if_unknown", "silent"),
        cards=cards,
        alerting=_alerting(data.get("alerting", {})),
        governance=read_governance(data.get("governance", {})),
        replaced_by=data.get("replaced_by", ""),
        actions=_actions_of(cards, data.get("card_defaults", {})),
    )


def read_fact(document: Document) -> FactTree:
    """Return the tree of a file of ``facts/`` whose shape is right."""
    data: Written = document.data
    kind = next(each for each in _FACTS if each in data)
    fact = _fact(kind, data[kind], ())
    return FactTree((), document, data["fact"], data.get("title", ""), fact)


def _first(written: Written) -> tuple[str, Any]:
    """Return the only key of a mapping, and what stands under it."""
    return next(iter(written.items()))


def read_amount(written: Any, path: Path) -> Amount:
    """Return what a number, a length of time, a time of day or a param means."""
    if not isinstance(written, str):
        return Amount(path, written, float(written))
    if written.startswith("$"):
        return Amount(path, written, written, written[1:])
    return Amount(path, written, parse_duration(written) or written)


def _optional(written: Written, key: str, path: Path) -> Amount | None:
    return read_amount(written[key], (*path, key)) if key in written else None


def read_params(written: Written) -> dict[str, ParamNode]:
    """Return what stands under ``params``, by name."""
    params = {}
    for name, body in written.items():
        path: Path = ("params", name)
        params[name] = ParamNode(
            path,
            name,
            default=read_amount(body["default"], (*path, "default")),
            least=_optional(body, "min", path),
            most=_optional(body, "max", path),
            unit=body.get("unit", ""),
            describe=body.get("describe", ""),
        )
    return params


def _when(written: Written, path: Path) -> When:
    word, body = _first(written)
    here = (*path, word)
    if word in _BRANCHES:
        children = (_when(each, (*here, n)) for n, each in enumerate(body))
        return Branch(here, word, tuple(children))
    if word == "patient":
        ages = _bounds("age", body.get("age", {}), (*here, "age"))
        return PatientTest(here, tuple(body.get("sex", {}).get("in", ())), ages)
    if isinstance(body, str):
        return PresenceTest(here, word, body)
    tests = (_test(name, test, (*here, name)) for name, test in body.items())
    return FactTest(here, word, tuple(tests))


def _test(name: str, written: Written, path: Path) -> Test:
    if name in _COURSE:
        (bound,) = _bounds(name, written, path)
        return _COURSE[name](path, name, bound, written)
    return Compared(path, name, _bounds(name, written, path))


def _bounds(attribute: str, written: Written, path: Path) -> tuple[Bound, ...]:
    """Return the comparisons among the members of a test."""
    bounds: list[Bound] = []
    for key, value in written.items():
        where = (*path, key)
        if key == "between":
            for n, comparison in enumerate(("at_least", "below")):
                half = (*where, n)
                amount = read_amount(value[n], half)
                bounds.append(Bound(half, attribute, comparison, amount, True))
        elif key in COMPARISONS:
            bounds.append(Bound(where, attribute, key, read_amount(value, where)))
    return tuple(bounds)


def _sustained(path: Path, name: str, bound: Bound, written: Written) -> Sustained:
    return Sustained(
        path,
        bound,
        period=read_amount(written["for"], (*path, "for")),
        share=written.get("share", 1.0),
        readings=written.get("readings", 3),
    )


def _on_days(path: Path, name: str, bound: Bound, written: Written) -> OnDays:
    return OnDays(path, bound, written["days"])


def _repeated(path: Path, name: str, bound: Bound, written: Written) -> Repeated:
    return Repeated(
        path,
        bound,
        times=read_amount(written["times"], (*path, "times")),
        apart=read_amount(written["apart"], (*path, "apart")),
    )


def _rise_or_fall(path: Path, name: str, bound: Bound, written: Written) -> RiseOrFall:
    return RiseOrFall(path, name, bound, read_amount(written["over"], (*path, "over")))


_COURSE: Mapping[str, Callable[[Path, str, Bound, Written], Test]] = {
    "sustained": _sustained,
    "on_days": _on_days,
    "repeated": _repeated,
    "rise": _rise_or_fall,
    "fall": _rise_or_fall,
}


def _fact(kind: str, written: Any, path: Path) -> FactNode:
    return _FACTS[kind](written, (*path, kind))


def _condition(written: Written, path: Path) -> ConditionFact:
    return ConditionFact(
        path,
        written["in"],
        written.get("status", ConditionFact.usual_status),
        _period(written, path, "onset_within", "recorded_within"),
        tuple(written.get("category", ())),
        "verification" in written,
    )


def _medication(written: Written, path: Path) -> MedicationFact:
    return MedicationFact(
        path,
        written["in"],
        written.get("status", MedicationFact.usual_status),
        _period(written, path, "started_within", "taken_for"),
        written.get("from", "chart"),
    )


def _observation(written: Written, path: Path) -> ObservationFact:
    return ObservationFact(
        path,
        written["in"],
        written.get("status", ObservationFact.usual_status),
        _period(written, path, "within"),
        written.get("unit", ""),
    )


def _alerts(written: Written, path: Path) -> AlertFact:
    status = written.get("status", AlertFact.usual_status)
    period = _period(written, path, "within")
    return AlertFact(path, tuple(written["type"]), status, period)


def _wearable(written: Written, path: Path) -> WearableFact:
    return WearableFact(
        path,
        written["metric"],
        written.get("summary", ""),
        written.get("part", WearableFact.usual_part),
        written.get("unit", ""),
        _span(written, path, "within"),
    )


def _stream(written: Written, path: Path) -> SilentFact | UnjudgedFact:
    if "metric" in written:
        silent_for = read_amount(written["silent_for"], (*path, "silent_for"))
        return SilentFact(path, written["metric"], silent_for)
    reasons = tuple(written.get("not_judged", ()))
    period = _span(written, path, "within")
    return UnjudgedFact(path, written["detector"], reasons, period)


def _score(written: Written, path: Path) -> ScoreFact:
    items = []
    for n, item in enumerate(written["items"]):
        here = (*path, "items", n)
        when = _when(item["when"], (*here, "when"))
        items.append(ScoreItem(here, item["points"], item["label"], when))
    return ScoreFact(path, written["title"], tuple(items))


def _period(written: Written, path: Path, *keys: str) -> PeriodNode | None:
    for key in keys:
        if key in written:
            return _span(written, path, key)
    return None


def _span(written: Written, path: Path, key: str) -> PeriodNode:
    here = (*path, key)
    return PeriodNode(here, key, read_amount(written[key], here))


_FACTS: Mapping[str, Callable[[Any, Path], FactNode]] = {
    "condition": _condition,
    "medication": _medication,
    "observation": _observation,
    "wearable_alert": _alerts,
    "wearable": _wearable,
    "stream": _stream,
    "score": _score,
    "use": lambda written, path: SharedFact(path, written),
    "any_of": lambda written, path: JoinedFact(path, tuple(written)),
}


def _cards(data: Written) -> Iterator[CardNode]:
    """The cards, whether the file has one or several."""
    defaults = data.get("card_defaults", {})
    shared: dict[str, Path] = {key: ("card_defaults", key) for key in defaults}
    severity = data.get("severity", "info")
    several: list[tuple[Path, Written]] = (
        [(("card",), data["card"])]
        if "card" in data
        else [(("cards", n), each) for n, each in enumerate(data["cards"])]
    )
    for path, own in several:
        places = {**shared, **{key: (*path, key) for key in own}}
        whole = {"severity": severity, **defaults, **own}
        yield _card(path, whole, places)


def _card(path: Path, written: Written, places: Mapping[str, Path]) -> CardNode:
    source = written.get("source")
    return CardNode(
        path,
        severity=Indicator[written["severity"].upper()],
        when=_when(written["when"], places["when"]) if "when" in written else None,
        summary=written["summary"],
        detail=written.get("detail", ""),
        limits=written.get("limits", ""),
        source=_source(source) if source else None,
        override_reasons=tuple(written.get("override_reasons", ())),
        links=tuple(_link(each) for each in written.get("links", ())),
        suggestions=_suggestions(written, places),
        selection=written.get("selection", "at-most-one"),
        together=written.get("together", ""),
        system_actions=_system_actions(written, places),
        places=places,
    )


def _source(written: Written) -> CardSource:
    topic = written.get("topic")
    return CardSource(
        written["label"],
        written.get("url", ""),
        (
            Coding(topic["system"], topic["code"], topic.get("display", ""))
            if topic
            else None
        ),
    )


def _link(written: Written) -> Link:
    return Link(
        written.get("label", ""),
        written.get("url", ""),
        written["type"],
        written.get("app_context", ""),
        page=written.get("page", ""),
    )


def _suggestions(
    written: Written, places: Mapping[str, Path]
) -> tuple[SuggestionNode, ...]:
    return tuple(
        SuggestionNode(
            (*places["suggestions"], n),
            each["label"],
            each.get("recommended", False),
            _actions(each["actions"], (*places["suggestions"], n, "actions")),
            each.get("action_selection", ""),
        )
        for n, each in enumerate(written.get("suggestions", ()))
    )


def _system_actions(
    written: Written, places: Mapping[str, Path]
) -> tuple[ActionNode, ...]:
    if "system_actions" not in written:
        return ()
    return _actions(written["system_actions"], places["system_actions"])


def _actions(written: Sequence[Written], path: Path) -> tuple[ActionNode, ...]:
    return tuple(_action(each, (*path, n)) for n, each in enumerate(written))


def _action(written: Written, path: Path) -> ActionNode:
    type_ = next(each for each in ("create", "update", "remove") if each in written)
    creates = type_ == "create"
    return ActionNode(
        path,
        type_,
        written["description"],
        fact="" if creates else written[type_],
        content=written["create"] if creates else written.get("set", {}),
        reasons=tuple(written.get("reason", ())),
    )


def _actions_of(cards: Iterable[CardNode], defaults: Written) -> tuple[ActionNode, ...]:
    """Return every action of a file once, with those that no card has by default."""
    places: dict[str, Path] = {key: ("card_defaults", key) for key in defaults}
    suggested = [*_suggestions(defaults, places)]
    found = [*_system_actions(defaults, places)]
    for card in cards:
        suggested += card.suggestions
        found += card.system_actions
    found += [action for each in suggested for action in each.actions]
    return tuple({action.path: action for action in found}.values())


def _alerting(written: Written) -> AlertingNode:
    path: Path = ("alerting",)
    return AlertingNode(
        path,
        tuple(written.get("once_per", ONCE_PER)),
        _optional(written, "repeat_after", path),
        tuple(_snoozes(written.get("snooze_on_override", {}), path)),
        _optional(written, "snooze_on_accept", path),
        written.get("group", ""),
        written.get("priority", 0),
        written.get("allow_suppress", False),
    )


def _snoozes(written: Any, path: Path) -> Iterator[Snooze]:
    here = (*path, "snooze_on_override")
    if isinstance(written, str):
        yield Snooze(here, EVERY_REASON, read_amount(written, here))
        return
    for reason, length in written.items():
        yield Snooze((*here, reason), reason, read_amount(length, (*here, reason)))


def read_governance(written: Written) -> GovernanceNode:
    """Return what stands under ``governance``."""
    approved = written.get("approved")
    return GovernanceNode(
        ("governance",),
        written.get("owner", ""),
        written.get("developer", ""),
        written.get("funding", ""),
        Approval(approved["by"], approved["on"]) if approved else None,
        _date(written, "effective"),
        _date(written, "review_by"),
        _date(written, "expires"),
        tuple(
            Evidence(each["citation"], each.get("url", ""), each.get("year"))
            for each in written.get("evidence", ())
        ),
        tuple(written.get("unconfirmed", ())),
        written.get("retired_because", ""),
    )


def _date(written: Written, key: str) -> date | None:
    return date.fromisoformat(written[key]) if key in written else None
