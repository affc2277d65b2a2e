"""``cds-service new``: a first rule and its tests, from five answers."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ...exports.files import write_atomically
from ...rulebook.authoring import (
    Answers,
    Slip,
    Stock,
    WrittenLimit,
    build_stock,
    cases_text,
    check_answers,
    modeline,
    parse_limit,
    rule_name,
    rule_text,
    schema_folder,
    with_modeline,
)
from ...rulebook.compile import SERVICES, compile_rulebook, kind_of
from ...rulebook.language import Findings, Level, parse_yaml, quote
from ...rulebook.load import InvalidRulebook, read_folder
from ...rulebook.testing import ExampleRunner, read_examples

COMPARISONS = ("above", "at_least", "below", "at_most")


Command = Callable[..., Any]


def limit_options(said: str) -> Callable[[Command], Command]:
    """Return what gives a command an option a comparison.

    Args:
        said: What each means; ``{}`` stands for the comparison in words.
    """

    def add(command: Command) -> Command:
        for name in reversed(COMPARISONS):
            flag, words = "--" + name.replace("_", "-"), name.replace("_", " ")
            option = click.option(flag, name, metavar="NUMBER", help=said.format(words))
            command = option(command)
        return command

    return add


SEVERITIES = ("info", "warning", "critical")


@click.command()
@click.argument("rule", metavar="[ID]", required=False)
@click.option("--drug", default="", metavar="SET", help="Value set of the medicine.")
@click.option(
    "--diagnosis", default="", metavar="SET", help="Value set of the problem."
)
@click.option("--result", default="", metavar="SET", help="Value set of the result.")
@click.option("--alert", default="", metavar="TYPE", help="The type of wearable alert.")
@limit_options("The card is shown if the reading is {} this.")
@click.option("--unit", default="", help="UCUM unit of the limit, such as mmol/L.")
@click.option("--within", default="", help="How old a reading may be, such as 7 days.")
@click.option(
    "--severity",
    type=click.Choice(SEVERITIES),
    help="How urgent the card is; info by default.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="SET",
    help="Value set that excludes a patient from the rule; may be repeated.",
)
@click.option("--folder", help="Folder of the rule, such as cardiology.")
@click.option("--source", default="Local rule", help="Who gives the advice.")
@click.option(
    "--rules",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The rules folder; by default the one named by CDS_RULES, or ./rules.",
)
def new(
    rule: str | None,
    folder: str | None,
    source: str,
    rules: Path | None,
    **given: Any,
) -> None:
    """Write a new rule and its tests.

    Asks for a drug, a diagnosis, a result or wearable alert, its limit and the
    severity, unless options say them. The rule is a draft: it is tested, but not asked
    of any patient until its status is changed. Exit code 0: written; 1: it could not
    be; 2: the answers make no rule.
    """
    root = rules or Path(os.environ.get("CDS_RULES") or "rules")
    if not root.is_dir():
        raise click.UsageError(f"there is no {root}; name --rules, or set CDS_RULES")
    try:
        files = dict(read_folder(root))
        stock = build_stock(compile_rulebook(files))
    except (InvalidRulebook, Slip) as error:
        raise click.ClickException(f"{error}: cds-service check {root}") from error
    try:
        named = any(given[each] for each in ("drug", "diagnosis", "result", "alert"))
        answers = from_options(stock, given) if named else ask(stock, given)
        check_answers(answers)
        name = rule or rule_name(answers)
        made = texts(
            name, folder or _first_folder(files), answers, stock, source, files
        )
    except Slip as error:
        raise click.UsageError(str(error)) from error
    prove(made, files)
    for file in made:
        if (root / file).exists():
            raise click.ClickException(f"{root / file} already exists")
    for file, text in made.items():
        write(root / file, text)
    shown = root / next(iter(made))
    click.echo(
        "\nThe rule is a draft. Write what the clinician should do and the evidence "
        f"for it, then run:\n\n  cds-service check {shown}\n  cds-service test {shown}"
    )


def from_options(stock: Stock, given: Mapping[str, Any]) -> Answers:
    """Return the answers that the options give.

    Raises:
        Slip: where one of them is no answer.
    """
    limits = [
        WrittenLimit(each, given[each], given["unit"], given["within"])
        for each in COMPARISONS
        if given[each]
    ]
    if len(limits) > 1:
        raise Slip("name one limit: --above, --at-least, --below or --at-most")
    limit = limits[0] if limits else None
    answers = Answers(
        drug=_chosen(stock, "drug", given["drug"]),
        diagnosis=_chosen(stock, "diagnosis", given["diagnosis"]),
        result=_chosen(stock, "result", given["result"]),
        alert=stock.choose_alert(given["alert"]) if given["alert"] else "",
        severity=given["severity"] or "info",
        exclude=tuple(excluded(stock, each) for each in given["exclude"]),
    )
    if limit and (answers.result or answers.alert):
        words = f"{limit.comparison} {limit.number}"
        parse_limit(f"{words} within {limit.within}" if limit.within else words)
        limit = stock.choose_limit(limit, answers.result, answers.alert)
    return replace(answers, limit=limit)


def _chosen(stock: Stock, kind: str, answer: str) -> str:
    return stock.choose(kind, answer) if answer else ""


def texts(
    name: str,
    folder: str,
    answers: Answers,
    stock: Stock,
    source: str,
    files: Mapping[str, str],
) -> dict[str, str]:
    """Return the new files, by their path in the rules folder.

    Raises:
        Slip: if the id or the folder cannot be used.
    """
    if name in stock.rules:
        raise Slip(f"there is already a rule {quote(name)}; give another ID")
    for each in (name, folder):
        if not is_name(each):
            raise Slip(
                f"{quote(each)} is not a valid name; use small letters, digits and"
                " hyphens"
            )
    if folder in ("facts", "valuesets", "detectors"):
        raise Slip(f"{quote(folder)} contains no rules; name another --folder")
    now = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    made = {
        f"{folder}/{name}.yaml": rule_text(name, answers, stock, source),
        f"{folder}/{name}.test.yaml": cases_text(name, answers, stock, now),
    }
    schemas = _schemas(files)
    if schemas is None:
        return made
    return {
        file: with_modeline(text, modeline(file, schemas))
        for file, text in made.items()
    }


def is_name(text: str) -> bool:
    """Return whether a text can be the name of a file and of what it holds."""
    words = text.split("-")
    return text[:1].isalpha() and all(
        word.isascii() and word.isalnum() and word.islower() | word.isdigit()
        for word in words
    )


def _schemas(files: Mapping[str, str]) -> str | None:
    """The folder of schemas that the files beside it name."""
    named = (schema_folder(file, text) for file, text in files.items())
    return next((each for each in named if each), None)


def _first_folder(files: Mapping[str, str]) -> str:
    """The first folder that a service serves."""
    folders = {file.partition("/")[0] for file in files if kind_of(file) == "rule"}
    document = parse_yaml(files[SERVICES], SERVICES, Findings())
    served = document.data["services"][0]["rules"] if document else []
    return next((each for each in served if each in folders), "local")


def prove(made: Mapping[str, str], files: Mapping[str, str]) -> None:
    """Check the new files and run their tests, before they are written.

    Raises:
        click.ClickException: if any fails; with what was found.
    """
    together = {**files, **made}
    tests, mistakes = read_examples(made)
    found = [
        f"{each.file}:{each.line}:{each.column}: {each.message}"
        for each in (*compile_rulebook(together).findings, *mistakes)
        if each.level is Level.ERROR
    ]
    runner = ExampleRunner(together)
    examples = [example for test in tests for example in test.examples]
    for example in () if found else examples:
        found += (f"{example.name}: {each}" for each in runner.problems(example))
    if found:
        raise click.ClickException(
            "with these answers, the rule would not pass its tests:\n"
            + "\n".join(found)
        )


def write(file: Path, text: str) -> None:
    """Write a file, and say so.

    Raises:
        click.ClickException: if it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, text)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error}") from error
    click.echo(f"{file} written")


# The questions, each asked until its answer can be used


def ask(stock: Stock, given: Mapping[str, Any]) -> Answers:
    """Return the answers to the five questions; each is asked until it can be used.

    Raises:
        Slip: if none of the questions is answered.
    """
    click.echo("Press Enter for none; write ? to list the choices.\n")
    drug = _ask(
        "Drug (a value set)", stock.sets_of("drug"), lambda x: stock.choose("drug", x)
    )
    diagnosis = _ask(
        "Diagnosis (a value set)",
        stock.sets_of("diagnosis"),
        lambda x: stock.choose("diagnosis", x),
    )
    results = stock.sets_of("result")
    types = {name: each.title for name, each in stock.alert_types.items()}

    def choose_read(answer: str) -> str:
        if answer in types:
            return answer
        try:
            return stock.choose("result", answer)
        except Slip:
            stock.choose_alert(answer) if answer not in results else None
            raise

    read = _ask("Result or wearable alert", {**results, **types}, choose_read)
    result, alert = (read, "") if read in results else ("", read)
    if not (drug or diagnosis or read):
        raise Slip("name at least one: a drug, a diagnosis, a result or an alert type")
    limit = None
    if result or alert and stock.alert_types[alert].unit:
        limit = _ask_limit(stock, result, alert)
    severity = click.prompt("Severity", type=click.Choice(SEVERITIES), default="info")
    excluded = tuple(excluded(stock, each) for each in given["exclude"])
    return Answers(drug, diagnosis, result, alert, limit, severity, excluded)


def _ask(
    question: str, offered: Mapping[str, str], choose: Callable[[str], str]
) -> str:
    def read(answer: str) -> str:
        if answer == "?":
            width = max(map(len, offered), default=0)
            lines = (f"  {name:{width}}  {text}" for name, text in offered.items())
            raise click.UsageError("choose one of\n" + "\n".join(lines))
        try:
            return choose(answer) if answer else ""
        except Slip as error:
            raise click.UsageError(str(error)) from error

    return str(_prompt(question, read))


def _ask_limit(stock: Stock, result: str, alert: str) -> WrittenLimit | None:
    def read(answer: str) -> WrittenLimit | None:
        if not answer and alert:
            return None
        try:
            return stock.choose_limit(parse_limit(answer), result, alert)
        except Slip as error:
            raise click.UsageError(str(error)) from error

    limit: WrittenLimit | None = _prompt("Limit, such as `above 100 /min`", read)
    return limit


def _prompt(question: str, read: Callable[[str], Any]) -> Any:
    try:
        return click.prompt(question, default="", show_default=False, value_proc=read)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        message = (
            "there is no terminal to ask; use --drug, --diagnosis, --result or --alert"
        )
        raise click.UsageError(message) from None


def excluded(stock: Stock, answer: str) -> str:
    """Return the value set that a rule is silent with: of a drug or a diagnosis."""
    offered = stock.sets_of("drug")
    return stock.choose("drug" if answer in offered else "diagnosis", answer)
