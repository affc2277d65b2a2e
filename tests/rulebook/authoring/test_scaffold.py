from datetime import UTC, datetime

import pytest

from cds_service.rulebook.authoring.format import format_text
from cds_service.rulebook.authoring.scaffold import (
    Answers,
    Slip,
    Stock,
    WrittenLimit,
    build_stock,
    check_answers,
    parse_limit,
)
from cds_service.rulebook.authoring.scaffold_text import (
    cases_text,
    rule_name,
    rule_text,
    scalar,
)

from ... import shipped

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def stock() -> Stock:
    return build_stock(shipped.compiled())


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("above 100", WrittenLimit("above", "100")),
        ("at least 7.5 mmol/L", WrittenLimit("at_least", "7.5", "mmol/L")),
        ("at_most -2", WrittenLimit("at_most", "-2")),
        (">= 3 %", WrittenLimit("at_least", "3", "%")),
        ("below 50 /min within 7 days", WrittenLimit("below", "50", "/min", "7 days")),
        ("< 50 within 1 day", WrittenLimit("below", "50", "", "1 day")),
    ],
)
def test_a_limit_is_read_as_it_is_said(text: str, limit: WrittenLimit) -> None:
    assert parse_limit(text) == limit


@pytest.mark.parametrize(
    "text", ["", "100", "over 100", "above x", "above 1e5", "> 1 2"]
)
def test_what_is_no_limit_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Slip, match="such as `above 100`"):
        parse_limit(text + " within 3 fortnights" if text == "> 1 2" else text)


@pytest.mark.parametrize(
    ("limit", "beyond", "before"),
    [
        (WrittenLimit("above", "100"), "101", "99"),
        (WrittenLimit("below", "7.5"), "7.4", "7.6"),
        (WrittenLimit("at_most", "0.05"), "0.04", "0.06"),
        (WrittenLimit("at_least", "0"), "1", "-1"),
    ],
)
def test_tests_stand_one_step_from_the_limit(
    limit: WrittenLimit, beyond: str, before: str
) -> None:
    assert limit.value(1) == beyond
    assert limit.value(0) == limit.number
    assert limit.value(-1) == before


@pytest.mark.parametrize(
    ("kind", "answer", "said"),
    [
        ("drug", "beta-blocker", "did you mean `beta-blockers`"),
        ("drug", "heart-rate", "contains codes of a result, not of a drug"),
        ("result", "pregnancy", "contains codes of a diagnosis, not of a result"),
    ],
)
def test_a_set_that_is_not_there_is_told_with_the_nearest(
    stock: Stock, kind: str, answer: str, said: str
) -> None:
    with pytest.raises(Slip, match=said):
        stock.choose(kind, answer)


def test_an_alert_type_that_is_not_there_is_told_with_the_nearest(
    stock: Stock,
) -> None:
    with pytest.raises(Slip, match="did you mean `low-heart-rate`"):
        stock.choose_alert("low-hart-rate")


def test_the_unit_and_the_window_are_those_of_the_rules(stock: Stock) -> None:
    limit = stock.choose_limit(WrittenLimit("above", "100"), "heart-rate", "")

    assert (limit.unit, limit.within) == ("/min", "7 days")


def test_an_alert_has_the_unit_of_its_type_and_no_other(stock: Stock) -> None:
    limit = WrittenLimit("above", "100")

    assert stock.choose_limit(limit, "", "high-heart-rate").unit == "/min"
    with pytest.raises(Slip, match="has no value"):
        stock.choose_limit(limit, "", "irregular-rhythm")
    with pytest.raises(Slip, match="is in /min"):
        stock.choose_limit(WrittenLimit("above", "100", "mg"), "", "high-heart-rate")


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (Answers(), "name at least one"),
        (Answers(result="heart-rate"), "needs a limit"),
        (Answers(drug="digoxin", limit=WrittenLimit("above", "1")), "needs a result"),
        (Answers(drug="digoxin", exclude=("digoxin",)), "named twice"),
    ],
)
def test_answers_that_make_no_rule_are_refused(answers: Answers, said: str) -> None:
    with pytest.raises(Slip, match=said):
        check_answers(answers)


def test_a_rule_is_named_after_what_it_is_about() -> None:
    limit = WrittenLimit("at_least", "7.5")

    assert rule_name(Answers(drug="insulins", alert="low-glucose")) == (
        "insulins-low-glucose"
    )
    assert rule_name(Answers(result="potassium", limit=limit)) == (
        "potassium-at-least-7-5"
    )


def test_the_first_code_of_a_set_stands_for_it_in_the_tests(stock: Stock) -> None:
    text = cases_text("x", Answers(drug="beta-blockers"), stock, NOW)

    assert "{ code: rxnorm|6918, name: Metoprolol, status: active }" in text
    assert "now: 2026-11-22T12:00:00Z" in text


def test_a_patient_of_the_tests_is_not_excluded_by_chance(stock: Stock) -> None:
    answers = Answers(drug="av-nodal-agents", exclude=("beta-blockers",))
    text = cases_text("x", answers, stock, NOW)
    patient = text[text.index("base:") : text.index("cases:")]

    assert "rxnorm|" in patient
    assert "rxnorm|6918" not in patient

    within = Answers(drug="beta-blockers", exclude=("av-nodal-agents",))
    with pytest.raises(Slip, match="no code that is in no other set"):
        cases_text("x", within, stock, NOW)


def test_both_files_are_in_order(stock: Stock) -> None:
    limit = WrittenLimit("above", "100", "mL/min/{1.73_m2}", "7 days")
    answers = Answers("digoxin", "pregnancy", "heart-rate", "", limit, "critical")
    rule = rule_text("x", answers, stock, "Us: all of us")
    tests = cases_text("x", answers, stock, NOW)

    assert format_text(rule, "x", "rule") == (rule, ())
    assert format_text(tests, "x", "rule-test") == (tests, ())
    assert "if_unknown: note" in rule
    assert "status: draft" in rule


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Heart rate", "Heart rate"),
        ("/min", "/min"),
        ("loinc|8867-4", "loinc|8867-4"),
        ("%", '"%"'),
        ("true", '"true"'),
        ("Us: we", '"Us: we"'),
        ("mm[Hg]", '"mm[Hg]"'),
        ("10", '"10"'),
        ("a # b", '"a # b"'),
    ],
)
def test_a_text_is_quoted_where_it_must_be(text: str, written: str) -> None:
    assert scalar(text) == written
