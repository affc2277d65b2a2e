"""Markdown of cards and rules as HTML that holds nothing live.

The one place that tells templates not to escape: what is written elsewhere, by a rule
or by a chart, reaches a page either as text or through here.

Source: CommonMark 0.31; CDS Hooks 3.0.0 "Card Attributes", where ``detail`` is GitHub
Flavored Markdown.
"""

from functools import cache
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markupsafe import Markup

TAGS = frozenset(
    "a blockquote br code em h3 h4 h5 h6 hr li ol p pre strong table tbody td th thead"
    " tr ul".split()
)
"""Below the headings of a page, and nothing that loads, runs or asks for anything."""
SCHEMES = frozenset({"https", "mailto"})
LOOPBACK = ("127.0.0.1", "localhost", "::1")
HEADINGS = {"h1": "h3", "h2": "h4"}
"""A card's own headings stand below those of the page."""


def render_markdown(text: str) -> Markup:
    """Return the text as HTML: headings, lists, tables, links to https, and no more."""
    html = _parser().render(text)
    clean = nh3.clean(
        html,
        tags=set(TAGS),
        attributes={"a": {"href", "title"}},
        url_schemes=set(SCHEMES),
        url_relative="deny",
        link_rel="noopener noreferrer",
    )
    return Markup(clean)  # nosec B704 # nh3 let nothing else through


def keep_https(url: object) -> str:
    """Return the URL if it leads somewhere by https, else nothing.

    On this machine itself http will do, as it does for who tries things out.
    """
    try:
        parts = urlsplit(str(url))
    except ValueError:
        return ""
    safe = parts.scheme == "https" or (
        parts.scheme == "http" and parts.hostname in LOOPBACK
    )
    return str(url) if safe and parts.hostname else ""


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.core.ruler.push("headings", _lower_headings)
    return parser


def _lower_headings(state: StateCore) -> None:
    for token in state.tokens:
        token.tag = HEADINGS.get(token.tag, token.tag)
