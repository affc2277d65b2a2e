"""What was found in a server's answers, printed for a person or as JSON."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from ...fhir.foreign_text import clean
from ...protocol.conformance import Level, Reply, Violation, read_json

_STYLES = {Level.MUST: "bold red", Level.SHOULD: "yellow", Level.NOTE: "cyan"}
_MOST = 60
"""Violations that are printed; JSON has them all."""


def print_violations(console: Console, found: Sequence[Violation]) -> None:
    """Every violation, the most binding first, each with the id of its rule."""
    if not found:
        console.print("No violation of CDS Hooks seen.")
        return
    counts = Counter(each.level for each in found)
    told = ", ".join(f"{counts[level]} {level}" for level in Level if counts[level])
    console.print(f"Seen of CDS Hooks ({told}):")
    order = list(Level)
    ranked = sorted(found, key=lambda each: order.index(each.level))
    for each in ranked[:_MOST]:
        line = Text(f"  {each.level:6} ", style=_STYLES[each.level])
        where = f"{clean(each.path)} " if each.path else ""
        line.append(f"{each.id:5} {where}{clean(each.text)}", style="default")
        console.print(line, soft_wrap=True)
    if len(ranked) > _MOST:
        console.print(f"  … and {len(ranked) - _MOST} more")


def print_services(console: Console, services: Sequence[Any]) -> None:
    """What discovery offers."""
    if not services:
        console.print("  No services.")
    for each in services:
        if not isinstance(each, dict):
            continue
        line = Text(f"  {clean(each.get('id'))}", style="bold")
        line.append(f"  {clean(each.get('hook'))}", style="default")
        if each.get("title"):
            line.append(f"  {clean(each['title'])}", style="dim")
        console.print(line, soft_wrap=True)
        prefetch = each.get("prefetch")
        if isinstance(prefetch, dict) and prefetch:
            keys = ", ".join(clean(key) for key in prefetch)
            console.print(Text(f"    prefetch: {keys}"), soft_wrap=True)


def timing(reply: Reply) -> str:
    """Status, times and size in one line."""
    return (
        f"status {reply.status}, {reply.seconds * 1000:.0f} ms "
        f"(first byte {reply.first_byte * 1000:.0f} ms), {size(len(reply.content))}"
    )


def size(count: int) -> str:
    """So many bytes, as people say it."""
    for unit, divisor in (("MB", 1_000_000), ("kB", 1_000)):
        if count >= divisor:
            return f"{count / divisor:.1f} {unit}"
    return f"{count} bytes"


def reply_json(reply: Reply) -> dict[str, Any]:
    """An answer as plain data; ``body`` is null where it is no JSON."""
    return {
        "status": reply.status,
        "milliseconds": round(reply.seconds * 1000, 1),
        "first_byte_milliseconds": round(reply.first_byte * 1000, 1),
        "bytes": len(reply.content),
        "body": read_json(reply.content).value,
    }
