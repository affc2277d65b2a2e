import shutil
from itertools import cycle
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from cds_service.cli.rules.check import check
from cds_service.cli.rules.new import from_options, new, prove, texts
from cds_service.cli.rules.test import test as run_tests
from cds_service.rulebook.authoring.scaffold import Stock, build_stock
from cds_service.rulebook.authoring.scaffold_text import rule_name
from cds_service.rulebook.compile.compiler import compile_rulebook
from cds_service.rulebook.load import read_folder

RULES = Path(__file__).parents[3] / "rules"
FILES = dict(read_folder(RULES))
NOTHING = {
    "drug": "", "diagnosis": "", "result": "", "alert": "", "above": "", "below": "",
    "at_least": "", "at_most": "", "unit": "", "within": "", "severity": "",
    "exclude": (),
}  # fmt: skip


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project's rules, with the caller beside it."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(RULES, "rules"))


def run(*arguments: str, answers: str = "") -> Result:
    return CliRunner().invoke(new, list(arguments), input=answers)


def passes(file: str) -> bool:
    """Whether a rule passes its check and its tests, by the commands that are shown."""
    checked = CliRunner().invoke(check, [file])
    tested = CliRunner().invoke(run_tests, [file])
    return (checked.exit_code, tested.exit_code) == (0, 0)


def test_options_make_a_rule_and_tests_that_pass(rules: Path) -> None:
    result = run(
        *("--drug", "beta-blockers", "--result", "heart-rate", "--above", "100"),
        *("--severity", "warning", "--exclude", "palliative-care"),
    )

    assert result.exit_code == 0, result.output
    file = "rules/cardiology/beta-blockers-heart-rate-above-100.yaml"
    assert f"{file} written" in result.output
    assert f"cds-service check {file}\n  cds-service test {file}" in result.output
    assert passes(file)
    first = Path(file).read_text().split("\n", 1)[0]
    assert first.endswith(
        "=../../cds_service/rulebook/language/schemas/rule.schema.json"
    )


def test_five_answers_make_a_rule_and_a_slip_is_asked_again(rules: Path) -> None:
    result = run(
        "slow-pulse",
        answers="digoxn\ndigoxin\n\nheart-rate\nslow\nbelow 50\nwarning\n",
    )

    assert result.exit_code == 0, result.output
    assert "did you mean `digoxin`" in result.output
    assert "write a limit such as" in result.output
    assert passes("rules/cardiology/slow-pulse.yaml")
    text = Path("rules/cardiology/slow-pulse.yaml").read_text()
    assert "- heart_rate: { latest: { below: 50 } }" in text
    assert "severity: warning" in text


def test_a_question_mark_shows_what_there_is(rules: Path) -> None:
    result = run(answers="?\n\n\nirregular-rhythm\ninfo\n")

    assert result.exit_code == 0, result.output
    assert "beta-blockers" in result.output
    assert "Beta-adrenergic blockers, systemic" in result.output
    assert passes("rules/cardiology/irregular-rhythm.yaml")


def test_a_rule_about_an_alert_links_to_what_the_wearable_measured(
    rules: Path,
) -> None:
    before = set(rules.rglob("*.yaml"))

    made = run("--alert", "irregular-rhythm", "--diagnosis", "heart-failure")

    assert made.exit_code == 0, made.output
    rule, _ = sorted(set(rules.rglob("*.yaml")) - before, key=lambda it: len(it.name))
    assert "  links:\n    - type: smart\n      page: timeline\n" in rule.read_text()
    assert passes(str(rule))


def test_nothing_is_written_over(rules: Path) -> None:
    run("mine", "--drug", "digoxin")
    before = (rules / "cardiology/mine.yaml").read_text()

    result = run("mine", "--drug", "insulins")

    assert result.exit_code == 2
    assert "there is already a rule `mine`" in result.output
    assert (rules / "cardiology/mine.yaml").read_text() == before


def test_where_one_file_is_there_none_is_written(rules: Path) -> None:
    (rules / "cardiology/mine.test.yaml").mkdir()

    result = run("mine", "--drug", "digoxin")

    assert result.exit_code != 0
    assert not (rules / "cardiology/mine.yaml").exists()


def test_a_folder_can_be_named(rules: Path) -> None:
    result = run("mine", "--drug", "digoxin", "--folder", "pharmacy")

    assert result.exit_code == 0
    assert passes("rules/pharmacy/mine.yaml")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--drug", "digoxn"), "did you mean `digoxin`"),
        (("--drug", "heart-rate"), "contains codes of a result"),
        (("--result", "heart-rate"), "a result needs a limit"),
        (("--drug", "digoxin", "--above", "3"), "a limit needs a result"),
        (
            ("--result", "heart-rate", "--above", "3", "--below", "4"),
            "name one limit",
        ),
        (("--result", "heart-rate", "--above", "x"), "write a limit such as"),
        (("Big", "--drug", "digoxin"), "`Big` is not a valid name"),
        (("x", "--drug", "digoxin", "--folder", "../x"), "`../x` is not a valid name"),
        (("x", "--drug", "digoxin", "--folder", "facts"), "contains no rules"),
        ((), "there is no terminal to ask; use --drug"),
    ],
)
def test_answers_that_make_no_rule_are_refused_and_nothing_is_written(
    rules: Path, arguments: tuple[str, ...], said: str
) -> None:
    before = sorted(rules.rglob("*"))

    result = run(*arguments)

    assert result.exit_code in (1, 2)
    assert said in result.output
    assert sorted(rules.rglob("*")) == before


def test_rules_with_errors_come_first(rules: Path) -> None:
    (rules / "site.yaml").write_text("format: [")

    result = run("--drug", "digoxin")

    assert result.exit_code == 1
    assert "the rules have errors" in result.output


@pytest.fixture(scope="module")
def stock() -> Stock:
    return build_stock(compile_rulebook(FILES))


def compared(stock: Stock, result: str, comparison: str) -> dict[str, str]:
    """A result with a limit in the middle of what is plausible for it."""
    unit, _ = stock.readings[result]
    low, high = stock.valuesets[result].measure.range_in(unit) or (0.0, 15.0)
    return {"result": result, comparison: f"{(low + high) / 2:.1f}"}


def combinations(stock: Stock) -> list[dict[str, str]]:
    """Every value set and alert type in each part that it can play."""
    drugs, problems = stock.sets_of("drug"), stock.sets_of("diagnosis")
    results, alerts = cycle(stock.readings), stock.alert_types
    limits = cycle(["above", "at_least", "below", "at_most"])
    made: list[dict[str, str]] = []
    for number, drug in enumerate(drugs):
        read = compared(stock, next(results), next(limits)) if number % 2 else {}
        made.append({"drug": drug, **read})
    for number, (problem, drug) in enumerate(zip(problems, cycle(drugs), strict=False)):
        read = (
            compared(stock, next(results), next(limits))
            if number % 2
            else {"drug": drug}
        )
        made.append({"diagnosis": problem, **read})
    made += [compared(stock, result, next(limits)) for result in stock.readings]
    for alert, problem in zip(alerts, cycle(problems), strict=False):
        limit = {next(limits): "100"} if alerts[alert].unit else {}
        made += [{"alert": alert, **limit}, {"alert": alert, "diagnosis": problem}]
    return made


@pytest.mark.parametrize("limit", ["7.5", "19", "20", "300", "1000"])
def test_a_limit_beyond_what_is_plausible_is_a_slip(rules: Path, limit: str) -> None:
    result = run("--result", "heart-rate", "--above", limit)

    assert result.exit_code != 0
    assert f"{limit} /min is not within 20 to 300 /min" in result.output
    assert not list(Path("rules").rglob("heart-rate-above-*"))


@pytest.mark.slow
def test_every_set_and_alert_makes_rules_that_pass_their_tests(stock: Stock) -> None:
    """Proved together, since what takes the time is what they all rest on."""
    given = combinations(stock)
    severities = cycle(["info", "warning", "critical"])
    made: dict[str, str] = {}
    for each, severity in zip(given, severities, strict=False):
        answers = from_options(stock, {**NOTHING, **each, "severity": severity})
        made |= texts(rule_name(answers), "local", answers, stock, "Local rule", FILES)

    prove(made, FILES)

    assert len(made) == 2 * len(given)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("when:", "whem:", "wrong.yaml:15:1: `whem`"),
        ("expect: no card", "expect: {card: info}", "expected a card, got no card"),
        ("cases:", "case:", "wrong.test.yaml:10:1: `case`"),
    ],
)
def test_a_rule_that_is_wrong_or_fails_its_tests_is_not_proved(
    stock: Stock, old: str, new: str, said: str
) -> None:
    answers = from_options(stock, {**NOTHING, "drug": "digoxin", "severity": "info"})
    made = texts("right", "local", answers, stock, "Local rule", FILES)
    wrong = texts("wrong", "local", answers, stock, "Local rule", FILES)
    spoilt = {name: text.replace(old, new, 1) for name, text in wrong.items()}
    assert spoilt != wrong

    with pytest.raises(click.ClickException) as refusal:
        prove({**made, **spoilt}, FILES)

    assert (
        "with these answers, the rule would not pass its tests" in refusal.value.message
    )
    assert said in refusal.value.message
