"""Cards on a terminal, as a clinician would read them."""

from typing import Any

from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.panel import Panel
from rich.text import Text

from .ehr import Answer

COLOURS = {"info": "blue", "warning": "yellow", "critical": "red"}
WIDTH = 100


def build_console() -> Console:
    """A console with colours on a terminal only, and readable width everywhere."""
    console = Console(highlight=False)
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    return console


def print_answer(console: Console, answer: Answer) -> None:
    """Every card of an answer; or why there is none."""
    if answer.status != 200:
        _print_refusal(console, answer)
        return
    cards = answer.body["cards"]
    if not cards:
        console.print("  No card: nothing to say that was not shown lately.")
    for card in cards:
        console.print(_panel(card))


def _panel(card: dict[str, Any]) -> Panel:
    indicator = card["indicator"]
    parts: list[RenderableType] = [Text(card["summary"], style="bold")]
    if card.get("detail"):
        parts += [Text(), Markdown(card["detail"])]
    for suggestion in card.get("suggestions", []):
        parts.append(Text(f"\n[ {suggestion['label']} ]"))
    for link in card.get("links", []):
        parts.append(Text(f"\n{link['label']}: {link['url']}", style="underline"))
    reasons = [each["display"] for each in card.get("overrideReasons", [])]
    if reasons:
        parts.append(Text(f"\nOverride: {' · '.join(reasons)}", style="dim"))
    source = card["source"]
    credit = f"Source: {source['label']} {source.get('url', '')}".rstrip()
    parts.append(Text(f"\n{credit}", style="dim"))
    colour = COLOURS.get(indicator, "white")
    return Panel(
        Group(*parts),
        title=f"[bold]{indicator.upper()}[/bold]",
        title_align="left",
        border_style=colour,
    )


def _print_refusal(console: Console, answer: Answer) -> None:
    console.print(f"  Refused with status {answer.status}:")
    for issue in answer.body.get("issue", []):
        text = issue.get("details", {}).get("text", issue.get("code", ""))
        more = issue.get("diagnostics", "")
        console.print(Text(f"  - {text} {more}".rstrip()))
