"""What a card's Markdown becomes on a page: what it says, and nothing that lives."""

from html.parser import HTMLParser

import pytest

from cds_service.web.pages.markdown import keep_https, render_markdown


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**Stop** it", "<p><strong>Stop</strong> it</p>\n"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"),
        ("# Limits", "<h3>Limits</h3>\n"),
        ("## Limits", "<h4>Limits</h4>\n"),
        ("a < b & c", "<p>a &lt; b &amp; c</p>\n"),
        (
            "[guide](https://example.org/a?b=1&c=2)",
            '<p><a href="https://example.org/a?b=1&amp;c=2" rel="noopener noreferrer">'
            "guide</a></p>\n",
        ),
    ],
)
def test_what_a_card_says_is_shown_as_it_was_meant(text: str, html: str) -> None:
    assert render_markdown(text) == html


def test_a_table_is_shown_as_a_table() -> None:
    html = render_markdown("| a | b |\n|---|---|\n| 1 | 2 |")

    assert "<th>a</th>" in html and "<td>2</td>" in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "![x](https://evil.example/x.png)",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](&#106;avascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](vbscript:x)",
        "[x](//evil.example)",
        "[x](/smart/s/other/card)",
        "[x](http://evil.example)",
        "<a href='javascript:alert(1)'>x</a>",
        "<svg onload=alert(1)>",
        "<iframe src=https://evil.example></iframe>",
        "<style>*{display:none}</style>",
        "[x]: javascript:alert(1)\n\n[x]",
        '<https:alert(1)" onmouseover=alert(1)>',
    ],
)
def test_nothing_live_comes_through(text: str) -> None:
    tags, attributes = parse(str(render_markdown(text)))

    assert tags <= {"p", "a", "h2"}
    assert attributes <= {("rel", "noopener noreferrer")}


def parse(html: str) -> tuple[set[str], set[tuple[str, str | None]]]:
    """Return the tags and the attributes that a browser would see."""
    tags, attributes = set(), set()

    class Parser(HTMLParser):
        def handle_starttag(
            self, tag: str, attrs: list[tuple[str, str | None]]
        ) -> None:
            tags.add(tag)
            attributes.update(attrs)

    Parser().feed(html)
    return tags, attributes


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://example.org/a", "https://example.org/a"),
        ("http://example.org/a", ""),
        ("http://127.0.0.1:8080/out", "http://127.0.0.1:8080/out"),
        ("http://127.0.0.1.example.org/", ""),
        ("javascript:alert(1)", ""),
        ("//example.org", ""),
        ("https:", ""),
        ("https://[", ""),
        (None, ""),
    ],
)
def test_a_link_leads_somewhere_by_https_or_nowhere(url: object, kept: str) -> None:
    assert keep_https(url) == kept
