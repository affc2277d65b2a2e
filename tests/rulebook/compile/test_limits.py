"""The limits of tests: what is wrong with one, where it stands, and how it is read."""

from typing import Any

import pytest

FACTS = """\
hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}
low: {wearable_alert: {type: [low-heart-rate], within: 7 days}}
dm: {condition: {in: diabetes}}
"""
PARAMS = (
    "params: {n: {default: 50}, length: {default: 2 days},"
    " dose: {default: 50, unit: mg}}"
)
PLAUSIBLE = "correct the limit, the unit, or what its value set calls plausible"


@pytest.fixture
def rulebook(rules: Any) -> Any:
    """Compiles a rule with one test; a heart rate lies between 20 and 300."""

    def compile(test: str) -> Any:
        rules.rule(FACTS, test, PARAMS)
        rules.files["valuesets/heart-rate.yaml"] += "plausible: [20, 300]\n"
        return rules.compile()

    return compile


@pytest.mark.parametrize(
    ("test", "at", "code", "message", "help"),
    [
        (
            "hr: {latest: {at_least: $dose}}",
            "$dose",
            "CDS309",
            "`$dose` is in mg, `hr` in /min",
            "give both the same unit; the number is not converted",
        ),
        (
            "hr: {latest: {at_least: $length}}",
            "$length",
            "CDS304",
            "`$length` is not a number",
            "write a number, or name a param that is one",
        ),
        (
            "hr: {rise: {at_least: $length, over: 3 days}}",
            "$length, over",
            "CDS304",
            "`$length` is not a number",
            "write a number, or name a param that is one",
        ),
        (
            "low: {duration: {at_least: $n}}",
            "$n",
            "CDS222",
            "`$n` is not a duration",
            "write e.g. `7 days`, `24 hours`, `18 years`",
        ),
        (
            "low: {age: {at_most: $lenght}}",
            "$lenght",
            "CDS303",
            "there is no param `$lenght`",
            "did you mean `$length`?",
        ),
        (
            "low: {value: {at_most: $quite_another}}",
            "$quite_another",
            "CDS303",
            "there is no param `$quite_another`",
            "allowed here: $dose, $length, $n",
        ),
        (
            "hr: {mean: {between: [120, 60]}}",
            "[120, 60]",
            "CDS307",
            "this range is empty",
            "write the lower limit first",
        ),
        (
            "low: {local_time: {between: ['06:00', '06:00']}}",
            "['06:00', '06:00']",
            "CDS307",
            "this range is empty",
            "let it end at a different time from its start",
        ),
        (
            "hr: {latest: {at_least: 400}}",
            "400",
            "CDS243",
            "no value of `hr` is at least 400 /min:"
            " those outside 20 to 300 /min are not used",
            PLAUSIBLE,
        ),
        (
            "hr: {mean: {above: 10}}",
            "10}}",
            "CDS243",
            "every value of `hr` is above 10 /min:"
            " those outside 20 to 300 /min are not used",
            PLAUSIBLE,
        ),
        (
            "hr: {sustained: {below: 7.5, for: 3 days}}",
            "7.5",
            "CDS243",
            "no value of `hr` is below 7.5 /min:"
            " those outside 20 to 300 /min are not used",
            PLAUSIBLE,
        ),
    ],
)
def test_what_is_wrong_with_a_limit_is_told_where_it_stands(
    rulebook: Any, test: str, at: str, code: str, message: str, help: str
) -> None:
    compiled = rulebook(test)

    (error,) = (each for each in compiled.findings if each.level == "error")
    line = compiled.documents["test.yaml"].text.splitlines()[error.line - 1]
    assert line[error.column - 1 :].startswith(at)
    assert (error.code, error.message, error.help) == (code, message, help)


@pytest.mark.parametrize(
    ("test", "read"),
    [
        ("hr: {latest: {at_least: $n}}", "hr latest at least 50 /min"),
        (
            "hr: {latest: {between: [50, 100]}}",
            "hr latest at least 50 /min and below 100 /min",
        ),
        ("hr: {count: {at_least: 3}}", "hr count at least 3"),
        (
            "hr: {rise: {at_least: 400, over: 3 days}}",
            "hr rise at least 400 /min over 3 days",
        ),
        ("dm: {count: {above: 0}}", "dm count above 0"),
        ("low: {duration: {at_least: 90 minutes}}", "low duration at least 90 minutes"),
        ("low: {age: {below: $length}}", "low age below 2880 minutes"),
        ("low: {coverage: {at_least: 0.8}}", "low coverage at least 0.8"),
        (
            "low: {local_time: {between: ['22:05', '06:30']}}",
            "low local_time at least 22:05 and local_time below 06:30",
        ),
        ("low: {local_time: {at_most: '00:59'}}", "low local_time at most 00:59"),
    ],
)
def test_a_limit_reads_as_it_is_compared(rulebook: Any, test: str, read: str) -> None:
    (criterion,) = rulebook(test).rulebook.rules["test"].when.children[1:]

    assert criterion.text == read


def test_a_param_that_a_limit_names_is_used(rulebook: Any) -> None:
    compiled = rulebook(
        "all: [hr: {latest: {above: $n}}, low: {age: {below: $length}}]"
    )

    unused = [each.message for each in compiled.findings if each.code == "CDS402"]
    assert unused == ["nothing uses the param `dose`"]
