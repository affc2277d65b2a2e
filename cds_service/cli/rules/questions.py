"""The questions of ``cds-service new``, each asked until its answer can be used."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import click

from ...rulebook.authoring import Answers, Limit, Slip, Stock, parse_limit

SEVERITIES = ("info", "warning", "critical")


def ask(stock: Stock, given: Mapping[str, Any]) -> Answers:
    """The answers to the five questions; each is asked until it can be used.

    Raises:
        Slip: if none of the questions is answered.
    """
    click.echo("Press Enter for none; write ? to see what there is.\n")
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


def _ask_limit(stock: Stock, result: str, alert: str) -> Limit | None:
    def read(answer: str) -> Limit | None:
        if not answer and alert:
            return None
        try:
            return stock.choose_limit(parse_limit(answer), result, alert)
        except Slip as error:
            raise click.UsageError(str(error)) from error

    limit: Limit | None = _prompt("Limit, such as `above 100 /min`", read)
    return limit


def _prompt(question: str, read: Callable[[str], Any]) -> Any:
    try:
        return click.prompt(question, default="", show_default=False, value_proc=read)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        message = "nobody answers; name --drug, --diagnosis, --result or --alert"
        raise click.UsageError(message) from None


def excluded(stock: Stock, answer: str) -> str:
    """The value set that a rule stays silent with: of a drug or of a diagnosis."""
    offered = stock.sets_of("drug")
    return stock.choose("drug" if answer in offered else "diagnosis", answer)
