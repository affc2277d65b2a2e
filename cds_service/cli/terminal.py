"""What is shown on a terminal: cards as a clinician reads them, and how far a run is.

What a server sends is never trusted: of a card in the wrong shape what is there is
shown, and no control character reaches the terminal.
"""

import sys
import time
from collections.abc import Iterator
from typing import Any

import click
from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.panel import Panel
from rich.text import Text

from ..ehr.client import ServiceAnswer
from ..fhir.foreign_text import clean
from ..rulebook.cards import HELD_BACK_EXTENSION

COLOURS = {"info": "blue", "warning": "yellow", "critical": "red"}
WIDTH = 100


def build_console() -> Console:
    """Return a console: colours on a terminal only, readable width everywhere."""
    console = Console(highlight=False)
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    return console


def print_answer(console: Console, answer: ServiceAnswer) -> None:
    """Every card of an answer; or why there is none."""
    body = answer.body if isinstance(answer.body, dict) else {}
    if answer.status != 200:
        _print_refusal(console, answer.status, body)
        return
    cards = body.get("cards")
    held = _held_back(body.get("extension"))
    if cards == []:
        said = "nothing to say." if not held else "everything was already shown."
        console.print(f"  No card: {said}")
    if held:
        console.print(Text(held))
    for card in _objects(cards):
        console.print(_panel(card))
    for action in _objects(body.get("systemActions")):
        line = f"  System action: {_action(action)}"
        console.print(Text(line))


def _held_back(extension: Any) -> str:
    """Return how many cards a server of ours has held back, and why; empty for none."""
    told = extension.get(HELD_BACK_EXTENSION) if isinstance(extension, dict) else None
    count = told.get("count") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(count, int) or count < 1:
        return ""
    reasons = told.get("reasons")
    each = [
        f"{number} {clean(why)}"
        for why, number in (reasons if isinstance(reasons, dict) else {}).items()
        if isinstance(number, int)
    ]
    return (
        f"  Held back: {count} ({', '.join(each)})."
        if each
        else (f"  Held back: {count}.")
    )


def _panel(card: dict[str, Any]) -> Panel:
    indicator = clean(card.get("indicator")) or "no indicator"
    parts: list[RenderableType] = [Text(clean(card.get("summary")), style="bold")]
    if card.get("detail"):
        # No hyperlinks: a reader sees where a link leads.
        parts += [Text(), Markdown(clean(card["detail"]), hyperlinks=False)]
    parts += _suggestions(card)
    for link in _objects(card.get("links")):
        text = f"\n{clean(link.get('label'))}: {clean(link.get('url'))}"
        smart = " (SMART app)" if link.get("type") == "smart" else ""
        parts.append(Text(f"{text}{smart}", style="underline"))
    reasons = [_reason(each) for each in _items(card.get("overrideReasons"))]
    if reasons:
        parts.append(Text(f"\nOverride: {' · '.join(reasons)}", style="dim"))
    source = next(_objects([card.get("source")]), {})
    credit = f"Source: {clean(source.get('label'))} {clean(source.get('url'))}"
    parts.append(Text(f"\n{credit.rstrip()}", style="dim"))
    title = Text(indicator.upper(), style="bold")
    colour = COLOURS.get(indicator, "white")
    return Panel(Group(*parts), title=title, title_align="left", border_style=colour)


def _suggestions(card: dict[str, Any]) -> Iterator[RenderableType]:
    for suggestion in _objects(card.get("suggestions")):
        recommended = " recommended" if suggestion.get("isRecommended") is True else ""
        yield Text(f"\n[ {clean(suggestion.get('label'))} ]{recommended}")
        for action in _objects(suggestion.get("actions")):
            yield Text(f"    {_action(action)}", style="dim")


def _action(action: dict[str, Any]) -> str:
    resource = action.get("resource")
    held = resource.get("resourceType") if isinstance(resource, dict) else resource
    what = clean(action.get("resourceId")) or clean(held)
    said = clean(action.get("description"))
    return f"{clean(action.get('type'))} {what}: {said}".rstrip(": ")


def _reason(reason: Any) -> str:
    if not isinstance(reason, dict):
        return clean(reason)
    return clean(reason.get("display")) or clean(reason.get("code"))


def _print_refusal(console: Console, status: int, body: dict[str, Any]) -> None:
    console.print(f"  Refused with status {status}:")
    for issue in _objects(body.get("issue")):
        details = next(_objects([issue.get("details")]), {})
        text = clean(details.get("text")) or clean(issue.get("code"))
        more = clean(issue.get("diagnostics"))
        console.print(Text(f"  - {text} {more}".rstrip()))


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    return (each for each in _items(value) if isinstance(each, dict))


# A line that says how far a long run is, and goes when it is over

_PATIENCE = 1.0
"""Seconds of work before anything is said."""
_EVERY = 0.1
"""Seconds between two changes of the line."""


class ProgressLine:
    """One line on standard error, and only where that is a terminal."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._said_at = 0.0
        self._shown = False
        self._terminal = sys.stderr.isatty()

    def say(self, text: str) -> None:
        """Show *text* in place of what is there, once the run is a long one."""
        now = time.monotonic()
        if not self._terminal or now - self._begun < _PATIENCE:
            return
        if now - self._said_at >= _EVERY:
            self._said_at, self._shown = now, True
            click.echo(f"\r\x1b[K{text}", nl=False, err=True)

    def clear(self) -> None:
        """Take the line away, before something else is written."""
        if self._shown:
            self._shown = False
            click.echo("\r\x1b[K", nl=False, err=True)
