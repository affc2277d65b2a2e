"""The files of a new rule: the rule, and tests for each way that it can come out.

What they say is put together from the titles that the rulebook has.
"""

import json
import re
from datetime import datetime

from ..compile.compiler import kind_of
from .format import format_text
from .scaffold import Answers, Slip, Stock, check_answers, kind_of_set, sample

TIMELINE = "timeline"
"""The page with what a wearable measured."""
_WORDS = {"above": ">", "at_least": "≥", "below": "<", "at_most": "≤"}


def rule_name(answers: Answers) -> str:
    """An id for the rule, from what it is about."""
    parts = [answers.drug, answers.diagnosis, answers.result or answers.alert]
    if answers.limit:
        parts.append(answers.limit.comparison.replace("_", "-"))
        parts.append(answers.limit.number.replace(".", "-").lstrip("-"))
    return "-".join(each for each in parts if each)


def rule_text(rule: str, answers: Answers, stock: Stock, source: str) -> str:
    """The rule, as a draft, without the line that names its schema.

    Raises:
        Slip: if the answers make no rule.
    """
    check_answers(answers)
    lines = [
        "format: 1",
        f"rule: {rule}",
        "version: 0.1.0",
        f"title: {scalar(_title(answers, stock))}",
        "status: draft",
        f"severity: {answers.severity}",
        "hooks: [patient-view]",
        "",
        "facts:",
        *_facts(answers, stock),
        "",
        "when:",
        "  all:",
        *(f"    - {each}" for each in _criteria(answers)),
        f"if_unknown: {'note' if answers.severity == 'critical' else 'silent'}",
        "",
        "card:",
        f"  summary: {scalar(_summary(answers, stock))}",
        "  detail: |",
        "    **Write here what to do.**",
        "",
        f"    {_title(answers, stock)}.",
        "",
        *(f"    - {each}" for each in _detail(answers, stock)),
        *_limits(answers),
        "  source:",
        f"    label: {scalar(source)}",
        *_links(answers, stock),
    ]
    return _in_order(lines, f"{rule}.yaml")


def _links(answers: Answers, stock: Stock) -> list[str]:
    """What rests on a wearable leads to what that measured."""
    if not answers.alert or TIMELINE not in stock.pages:
        return []
    return ["  links:", "    - type: smart", f"      page: {TIMELINE}"]


def cases_text(rule: str, answers: Answers, stock: Stock, now: datetime) -> str:
    """Its tests: one that fires, some that do not, one that cannot know.

    Raises:
        Slip: if the value sets have no codes to make a patient of.
    """
    chart = _chart(answers, stock)
    lines = [
        f"test: {rule}",
        f"now: {now:%Y-%m-%dT%H:%M:%SZ}",
        "",
        "patients:",
        "  base:",
        *(line for name, each in chart.items() for line in (f"    {name}:", *each)),
        "",
        "cases:",
    ]
    for name, changed, expect in _cases(answers, stock, chart):
        lines += [f"  - name: {scalar(name)}", "    patient: base"]
        lines += ["    set:", *changed] if changed else []
        lines += [f"    expect: {expect}", ""]
    return _in_order(lines, f"{rule}.test.yaml")


def fact_name(name: str) -> str:
    """A name for the fact that reads a value set or a type of alert."""
    word = name.replace("-", "_")
    return f"{word}_found" if word in ("all", "any", "none", "patient") else word


def scalar(text: str) -> str:
    """A text as it may stand after a colon, in quotes where it needs them."""
    plain = _PLAIN.fullmatch(text) and text not in ("null", "true", "false")
    return text if plain else json.dumps(text, ensure_ascii=False)


def _in_order(lines: list[str], file: str) -> str:
    text, findings = format_text("\n".join(lines) + "\n", file, kind_of(f"x/{file}"))
    if findings:
        raise Slip("; ".join(each.message for each in findings))
    return text


def _title(answers: Answers, stock: Stock) -> str:
    about = _measured(answers, stock)
    if answers.limit and about:
        about += f" {_WORDS[answers.limit.comparison]} {answers.limit.number}"
        about += f" {answers.limit.unit}"
    taken = stock.valuesets[answers.drug].title if answers.drug else ""
    known = stock.valuesets[answers.diagnosis].title if answers.diagnosis else ""
    return " – ".join(each for each in (about, taken, known) if each)


def _measured(answers: Answers, stock: Stock) -> str:
    if answers.result:
        return stock.valuesets[answers.result].title
    return stock.alert_types[answers.alert].title if answers.alert else ""


def _facts(answers: Answers, stock: Stock) -> list[str]:
    lines: list[str] = []
    kinds = [(answers.drug, "medication"), (answers.diagnosis, "condition")]
    kinds += [(each, _fact_kind(each, stock)) for each in answers.exclude]
    for name, kind in kinds:
        if name:
            lines += [f"  {fact_name(name)}:", f"    {kind}:", f"      in: {name}"]
    limit = answers.limit
    within = [f"      within: {limit.within}"] if limit and limit.within else []
    if answers.result and limit:
        lines += [f"  {fact_name(answers.result)}:", "    observation:"]
        lines += [f"      in: {answers.result}", f"      unit: {scalar(limit.unit)}"]
        lines += within
    if answers.alert:
        lines += [f"  {fact_name(answers.alert)}:", "    wearable_alert:"]
        lines += [f"      type: [{answers.alert}]"]
        lines += [] if answers.result else within
    return lines


def _fact_kind(name: str, stock: Stock) -> str:
    kind = kind_of_set(stock.valuesets[name])
    if kind == "result":
        raise Slip(f"`{name}` contains codes of a result, which excludes nobody")
    return "medication" if kind == "drug" else "condition"


def _criteria(answers: Answers) -> list[str]:
    asked = [each for each in (answers.drug, answers.diagnosis) if each]
    lines = [f"{fact_name(each)}: present" for each in asked]
    limit = answers.limit
    if answers.alert:
        lines.append(f"{fact_name(answers.alert)}: present")
    if limit:
        read = answers.result or answers.alert
        test = "latest" if answers.result else "value"
        compare = f"{{ {limit.comparison}: {limit.number} }}"
        lines.append(f"{fact_name(read)}: {{ {test}: {compare} }}")
    return [*lines, *(f"{fact_name(each)}: absent" for each in answers.exclude)]


def _summary(answers: Answers, stock: Stock) -> str:
    said = ""
    if answers.result:
        title = _short(_measured(answers, stock))
        said = f"{title} {{{{ {fact_name(answers.result)}.latest }}}}"
    elif answers.alert:
        title = _short(stock.alert_types[answers.alert].title)
        fact = fact_name(answers.alert)
        said = f"{title}, {{{{ {fact}.age }}}} ago"
        if answers.limit:
            value = f"{{{{ {fact}.value or 'no value sent' }}}}"
            said = f"{title} {value}, {{{{ {fact}.age }}}} ago"
    names = [each for each in (answers.drug, answers.diagnosis) if each]
    shown = [f"{{{{ {fact_name(each)}.{_called(each, answers)} }}}}" for each in names]
    return " – ".join(each for each in (said, *shown) if each)


def _detail(answers: Answers, stock: Stock) -> list[str]:
    lines = []
    for name in (answers.drug, answers.diagnosis):
        if name:
            title = stock.valuesets[name].title
            shown = f"{fact_name(name)}.{_called(name, answers)}"
            lines.append(f"{title}: **{{{{ {shown} }}}}**")
    if answers.result:
        fact = fact_name(answers.result)
        title = stock.valuesets[answers.result].title
        shown = (
            f"**{{{{ {fact}.latest }}}}** ({{{{ {fact}.latest_date or 'no date' }}}})"
        )
        lines.append(f"{title}: {shown}")
    if answers.alert:
        fact = fact_name(answers.alert)
        title = stock.alert_types[answers.alert].title
        lines.append(f"{title}: {{{{ {fact}.local_time }}}}, {{{{ {fact}.age }}}} ago")
    return lines


def _limits(answers: Answers) -> list[str]:
    """Return what the rule excludes, as far as it is known."""
    said = [f"    {{{{ {fact_name(each)}.recorded }}}}." for each in answers.exclude]
    return ["  limits: |", *said] if said else []


def _called(name: str, answers: Answers) -> str:
    """Return what of a fact says what it is called."""
    return "ingredient" if name == answers.drug else "name"


def _short(title: str) -> str:
    return title if len(title) <= 60 else title[:57].rstrip() + "…"


def _chart(answers: Answers, stock: Stock) -> dict[str, list[str]]:
    """The parts of a patient with whom the rule fires."""
    chart: dict[str, list[str]] = {}
    for part, name in (
        ("conditions", answers.diagnosis),
        ("medications", answers.drug),
    ):
        if name:
            chart[part] = [_entry(name, answers, stock)]
    limit = answers.limit
    if answers.result and limit:
        chart["observations"] = [_reading(answers, stock, limit.value(1))]
    if answers.alert:
        value = limit.value(1) if limit and not answers.result else ""
        chart["wearable_alerts"] = [_alert(answers, value)]
    return chart


def _entry(name: str, answers: Answers, stock: Stock) -> str:
    kind = kind_of_set(stock.valuesets[name])
    others = () if name in answers.exclude else answers.exclude
    code, display = sample(stock, name, others)
    status = ", status: active" if kind == "drug" else ""
    return f"      - {{ code: {scalar(code)}, name: {scalar(display)}{status} }}"


def _reading(answers: Answers, stock: Stock, value: str) -> str:
    code, _ = sample(stock, answers.result, ())
    unit = scalar(answers.limit.unit if answers.limit else "")
    return (
        f"      - {{ code: {scalar(code)}, unit: {unit}, ends: now, values: {value} }}"
    )


def _alert(answers: Answers, value: str) -> str:
    shown = f", value: {value}" if value else ""
    return f"      - {{ type: {answers.alert}, at: now{shown} }}"


def _cases(
    answers: Answers, stock: Stock, chart: dict[str, list[str]]
) -> list[tuple[str, list[str], str]]:
    """Name, what is other than in the patient, and what is expected."""
    fires = f"{{ card: {answers.severity} }}"
    cases: list[tuple[str, list[str], str]] = [("fires", [], fires)]
    limit = answers.limit
    if limit:
        at = fires if limit.holds_at else "no card"
        for name, value, expect in (
            ("exactly at the limit", limit.value(0), at),
            ("just on the other side of the limit", limit.value(-1), "no card"),
        ):
            part, entry = "wearable_alerts", _alert(answers, value)
            if answers.result:
                part, entry = "observations", _reading(answers, stock, value)
            cases.append((name, [f"      {part}:", f"  {entry}"], expect))
    for part, name in (
        ("medications", answers.drug),
        ("conditions", answers.diagnosis),
    ):
        if name:
            title = f"without: {stock.valuesets[name].title}"
            cases.append((title, [f"      {part}: []"], "no card"))
    if answers.alert:
        cases.append(("no alert", ["      wearable_alerts: []"], "no card"))
    for name in answers.exclude:
        drug = kind_of_set(stock.valuesets[name]) == "drug"
        part = "medications" if drug else "conditions"
        entries = [*chart.get(part, []), _entry(name, answers, stock)]
        changed = [f"      {part}:", *(f"  {each}" for each in entries)]
        cases.append(
            (f"silent with: {stock.valuesets[name].title}", changed, "no card")
        )
    return [*cases, _unknown(answers)]


def _unknown(answers: Answers) -> tuple[str, list[str], str]:
    if answers.result and (answers.drug or answers.diagnosis or answers.alert):
        return "unknown without a result", ["      observations: []"], "unknown"
    sources = (
        (answers.result, "[Observation]"),
        (answers.drug, "[MedicationRequest, MedicationStatement]"),
        (answers.diagnosis, "[Condition]"),
        (answers.alert, "[wearable_alerts]"),
    )
    missing = next(source for asked, source in sources if asked)
    line = f"      not_loaded: {missing}"
    return "unknown when it could not be read", [line], "unknown"


_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9 _./|()%–≥≤<>+-]*(?<! )")
