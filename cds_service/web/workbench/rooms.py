"""The pages of the workbench: the way about, and what adds each.

A page is a line here and a function that adds its URLs; nothing is found by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, Response

from ..pages.shell import render_page
from .operations import add_operations
from .rules import add_rules
from .sessions import PREFIX, BenchRole, Workplace
from .trying import add_nothing, add_trying
from .vendors import add_vendors


@dataclass(frozen=True, slots=True)
class BenchPage:
    """A page of the workbench, as the way about names it."""

    name: str
    """The last step of its address: lower-case letters."""
    label: str
    says: str
    """What one does there, in a sentence."""
    role: BenchRole
    """Who sees it; its views say so as well, by ``needs``."""
    add: Callable[[Blueprint, Workplace], None]
    """Adds its URLs, below the prefix of the workbench."""

    @property
    def path(self) -> str:
        """Where it is on this server."""
        return f"{PREFIX}/{self.name}"


PAGES: tuple[BenchPage, ...] = (
    BenchPage(
        "try",
        "Try",
        "Open a chart as an EHR does, and see the cards; drop, break, move, wear.",
        BenchRole.AUTHOR,
        add_trying,
    ),
    BenchPage(
        "why",
        "Why",
        "See what every rule found in a chart, whether it fired or not, with request"
        " and answer.",
        BenchRole.AUTHOR,
        add_nothing,
    ),
    BenchPage(
        "rules",
        "Rules",
        "See which rules are served, how often they fire and are overridden, and"
        " whether their tests pass.",
        BenchRole.VIEWER,
        add_rules,
    ),
    BenchPage(
        "operations",
        "Operations",
        "See the latest calls, what is waiting, and what failed.",
        BenchRole.VIEWER,
        add_operations,
    ),
    BenchPage(
        "vendors",
        "For EHR vendors",
        "See what is offered, send a request, take OpenAPI or a Postman collection.",
        BenchRole.VIEWER,
        add_vendors,
    ),
)
"""In the order of the way about."""


def pages_for(role: BenchRole) -> tuple[BenchPage, ...]:
    """Return the pages that somebody with a role sees."""
    return tuple(each for each in PAGES if each.role <= role)


def tell(title: str, *texts: str, status: int = 200) -> Response:
    """Return a page of the workbench that says something in a few plain sentences."""
    return render_page("workbench/told.html", title=title, texts=texts, status=status)
