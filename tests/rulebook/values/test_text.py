"""Templates are placeholders and nothing else, and numbers read as people write."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from cds_service.rulebook.values.text import (
    Placeholder,
    TemplateError,
    Text,
    count_words,
    format_age,
    format_date,
    format_duration,
    format_number,
    format_quantity,
    format_time,
    format_unit,
    parse_template,
    placeholders,
    render_markdown,
    render_plain,
)

VALUES = {
    ("hr", "mean"): Text("105.8 /min", True),
    ("drug", "name"): Text("Metoprolol *50 mg*\n# ER", False),
    ("patient", "age"): Text("68 years", True),
    ("$", "hr_limit"): Text("-100 /min", True),
}


known = {"drug": Text("digoxin", True)}


def resolve(fact: str, attribute: str) -> Text | None:
    return VALUES.get((fact, attribute))


def test_a_template_is_literal_text_and_placeholders_in_order() -> None:
    assert parse_template("HR {{ hr.mean }} on {{drug.name or 'a drug'}}!") == (
        "HR ",
        Placeholder("hr", "mean", None, 3),
        " on ",
        Placeholder("drug", "name", "a drug", 20),
        "!",
    )


def test_a_parameter_and_the_patient_are_placeholders_too() -> None:
    template = parse_template("{{ $hr_limit }}{{ patient.age }}")

    assert [(each.fact, each.attribute) for each in placeholders(template)] == [
        ("$", "hr_limit"),
        ("patient", "age"),
    ]


def test_the_text_after_or_may_hold_the_other_quote_a_pipe_or_a_brace() -> None:
    template = parse_template("""{{ a.b or "it's | }} gone" }}""")

    assert template == (Placeholder("a", "b", "it's | }} gone", 0),)


@pytest.mark.parametrize(
    "text",
    ["", "plain", "x < 3 and y > 4", "{ok} 100 %", "see <https://example.org/a>", "{}"],
)
def test_text_without_placeholders_is_literal(text: str) -> None:
    assert "".join(str(part) for part in parse_template(text)) == text


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("a {{ b.c", 2, "not closed"),
        ("{{ a.b and {{ c.d }}", 0, "not closed"),
        ("{{ a.b {{ c.d }} }}", 0, "cannot be nested"),
        ("a }} b", 2, "closes nothing"),
        ("{{ a.b | default: 'x' }}", 0, "no filters"),
        ("{{ a.b | upper }}", 0, "no filters"),
        ("{{ a.b or x }}", 0, "text in quotes"),
        ("{{ a.b or 'x }}", 0, "text in quotes"),
        ("{{ a.b or }}", 0, "text in quotes"),
        ("{{ }}", 0, "empty"),
        ("{{ a }}", 0, "what of `a` to show"),
        ("{{ $a.b }}", 0, "no attributes"),
        ("{{ A.b }}", 0, "is not `fact.attribute`"),
        ("{{ a.b.c }}", 0, "is not `fact.attribute`"),
        ("{{ a-b.c }}", 0, "is not `fact.attribute`"),
        ("{{ a.b + 1 }}", 0, "not a placeholder"),
        ("{{{ a.b }}}", 0, "not a placeholder"),
        ("{{ a.b() }}", 0, "not a placeholder"),
        ("see { a.b }", 4, "two braces"),
        ("x {% if a %}", 2, "no blocks"),
        ("x {# a #}", 2, "no blocks"),
        ("x <b>y</b>", 2, "HTML"),
        ("x <!-- y", 2, "HTML"),
    ],
)
def test_what_only_looks_like_a_placeholder_is_refused_where_it_stands(
    text: str, offset: int, message: str
) -> None:
    with pytest.raises(TemplateError, match=message) as caught:
        parse_template(text)

    assert caught.value.offset == offset
    assert caught.value.help


def test_the_help_for_a_filter_is_the_placeholder_that_was_meant() -> None:
    with pytest.raises(TemplateError) as caught:
        parse_template("{{ egfr.latest | default: 'none' }}")

    assert caught.value.help == "write `{{ egfr.latest or 'text' }}`"


def test_c_2_a_summary_is_one_plain_line() -> None:
    template = parse_template("{{ drug.name }}\nat {{ hr.mean }} ({{ patient.age }})")

    shown = render_plain(template, resolve)

    assert shown == "Metoprolol *50 mg* # ER at 105.8 /min (68 years)"


def test_c_2_a_summary_has_fewer_than_140_characters() -> None:
    shown = render_plain(parse_template("word " * 60 + "{{ hr.mean }}"), resolve)

    assert len(shown) == 135
    assert shown.endswith("word…")


def test_a_longer_line_may_be_asked_for() -> None:
    assert len(render_plain(parse_template("x" * 500), resolve, 400)) == 400


def test_in_markdown_the_authors_words_and_our_numbers_stand_as_they_are() -> None:
    template = parse_template("**Rate**\n\n- {{ $hr_limit }}\n- {{ drug.name }}\n")

    assert render_markdown(template, resolve) == (
        "**Rate**\n\n- -100 /min\n- Metoprolol \\*50 mg\\* # ER"
    )


def test_what_has_no_value_shows_the_text_after_or() -> None:
    template = parse_template("eGFR {{ egfr.latest or 'unknown' }}")

    assert render_plain(template, resolve) == "eGFR unknown"


def test_a_line_goes_when_nothing_that_may_be_missing_has_a_value() -> None:
    template = parse_template(
        "Why.\n\n- eGFR {{ egfr.latest or '' }}.\n- {{ drug.name or '' }}, eGFR "
        "{{ egfr.latest or '' }}.\n- Always {{ egfr.latest or 'unknown' }}."
    )

    shown = render_markdown(template, lambda fact, _: known.get(fact))
    assert shown == "Why.\n\n- digoxin, eGFR .\n- Always unknown."


def test_a_paragraph_of_lines_that_go_leaves_no_gap() -> None:
    template = parse_template("One.\n\n{{ egfr.latest or '' }}\n\nTwo.")

    assert render_markdown(template, lambda *_: None) == "One.\n\nTwo."


def test_a_summary_of_several_lines_is_one_line_of_those_that_stay() -> None:
    template = parse_template("Slow\nrate {{ a.b or '' }}.\nSpO₂ {{ c.d or '' }}.")

    shown = render_plain(
        template, lambda fact, _: Text("7", True) if fact == "a" else None
    )
    assert shown == "Slow rate 7."


def test_signs_are_no_words() -> None:
    assert count_words("**Ask now** – about:\n\n- pain, 5 h ago.") == 7


def test_what_has_no_value_and_no_or_is_said_to_be_not_available() -> None:
    template = parse_template("eGFR {{ egfr.latest }}")

    assert render_markdown(template, resolve) == "eGFR not available"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (105.8, "105.8"),
        (100, "100"),
        (1.0, "1"),
        (0.5, "0.5"),
        (-0.0, "0"),
        (-1.50, "-1.5"),
        (29.996, "29.996"),
        # 2.6 mmol/L of glucose in mg/dL.
        (46.8416, "46.84"),
        (123456, "123456"),
        (100.66666666666667, "100.7"),
        (0.1 + 0.2, "0.3"),
        (0.00012345678, "0.0001235"),
        (1234567, "1234567"),
        (1234567.891, "1234568"),
        (1e21, "1000000000000000000000"),
        (1e-5, "0.00001"),
        (Decimal("7.20"), "7.2"),
        (float("nan"), "not available"),
        (float("inf"), "not available"),
    ],
)
def test_a_number_is_shown_as_recorded_or_rounded_where_computed(
    value: float, shown: str
) -> None:
    assert format_number(value) == shown


@pytest.mark.parametrize(
    ("unit", "shown"),
    [
        ("/min", "5 /min"),
        ("mL/min/{1.73_m2}", "5 mL/min/1.73 m2"),
        ("mm[Hg]", "5 mmHg"),
        ("10*9/L", "5 10^9/L"),
        ("%", "5 %"),
        ("Cel", "5 °C"),
        ("1", "5"),
        ("", "5"),
    ],
)
def test_a_quantity_carries_its_unit_as_people_write_it(unit: str, shown: str) -> None:
    assert format_quantity(5, unit) == shown


def test_no_unit_can_be_read_as_markdown() -> None:
    assert not set(format_unit("*_`[](){}<>&!|~\\10*6_x")) & set("*_`[]{}<>&!|~\\")


@pytest.mark.parametrize(
    ("duration", "shown"),
    [
        (timedelta(0), "0 s"),
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=1), "1 s"),
        (timedelta(minutes=42), "42 min"),
        (timedelta(minutes=5, seconds=30), "6 min"),
        (timedelta(minutes=89), "89 min"),
        (timedelta(minutes=105), "1.8 h"),
        (timedelta(minutes=120), "2 h"),
        (timedelta(minutes=150), "2.5 h"),
        (timedelta(hours=26), "26 h"),
        (timedelta(days=3), "3 d"),
        (timedelta(days=2, hours=20), "2.8 d"),
        (timedelta(days=14, hours=5), "14 d"),
        (timedelta(days=365), "12 mo"),
        (timedelta(days=3653), "10 y"),
    ],
)
def test_a_duration_is_told_in_its_natural_unit(
    duration: timedelta, shown: str
) -> None:
    assert format_duration(duration) == shown


@pytest.mark.parametrize(
    ("age", "shown"),
    [
        (timedelta(seconds=-5), "0 min"),
        (timedelta(seconds=50), "1 min"),
        (timedelta(minutes=42), "42 min"),
        (timedelta(minutes=89, seconds=59), "90 min"),
        (timedelta(minutes=90), "2 h"),
        (timedelta(minutes=117), "2 h"),
        (timedelta(hours=5, minutes=20), "5 h"),
        (timedelta(hours=30), "30 h"),
        (timedelta(days=2, hours=20), "3 d"),
        (timedelta(days=31), "31 d"),
        (timedelta(days=89, hours=23), "90 d"),
        (timedelta(days=365), "12 mo"),
        (timedelta(days=3653), "10 y"),
    ],
)
def test_how_long_ago_something_was_is_told_in_whole_units(
    age: timedelta, shown: str
) -> None:
    assert format_age(age) == shown


SPOKEN = {
    ("af", "name"): Text(
        "Atrial fibrillation, Flutter", False, "atrial fibrillation, flutter"
    )
}


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("In {{ af.name }}.", "In atrial fibrillation, flutter."),
        ("Fast, {{ af.name }}.", "Fast, atrial fibrillation, flutter."),
        ("In **{{ af.name }}**.", "In **atrial fibrillation, flutter**."),
        (
            "For 5 min in ({{ af.name }}).",
            "For 5 min in (atrial fibrillation, flutter).",
        ),
        ("{{ af.name }}.", "Atrial fibrillation, Flutter."),
        ("- {{ af.name }}.", "- Atrial fibrillation, Flutter."),
        ("Fast. {{ af.name }}.", "Fast. Atrial fibrillation, Flutter."),
        ("Recorded: {{ af.name }}.", "Recorded: Atrial fibrillation, Flutter."),
        ("Fast\n{{ af.name }}.", "Fast\nAtrial fibrillation, Flutter."),
    ],
)
def test_a_name_loses_its_capital_within_a_sentence_only(
    template: str, shown: str
) -> None:
    parsed = parse_template(template)

    assert render_markdown(parsed, lambda *name: SPOKEN.get(name)) == shown
    if "\n" not in template:
        assert render_plain(parsed, lambda *name: SPOKEN.get(name)) == shown


def test_a_day_is_written_year_first() -> None:
    assert format_date(date(2026, 11, 16)) == "2026-11-16"
    assert format_date(datetime(2026, 11, 16, 23, 59, tzinfo=UTC)) == "2026-11-16"


def test_the_time_of_day_is_that_of_the_moments_own_offset() -> None:
    moment = datetime(2026, 11, 16, 3, 12, tzinfo=timezone(timedelta(hours=-5)))

    assert format_time(moment) == "03:12"
