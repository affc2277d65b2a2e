"""What no template does: each of it would let a chart speak as a page."""

import re
from pathlib import Path

import pytest

import cds_service

PACKAGE = Path(cds_service.__file__).parent
FOLDER = PACKAGE.joinpath("web", "pages", "templates")
TEMPLATES = sorted(each for each in FOLDER.rglob("*") if each.is_file())

FORBIDDEN = {
    "is told not to be escaped": r"\|\s*safe\b|autoescape\s+false|Markup\(",
    "stands in an attribute without quotes": r"\s[\w:-]+\s*=\s*\{\{",
    "is a style that the policy stops": r"<style|\sstyle\s*=",
    "is a script that the policy stops": r"<script(?![^>]*(\ssrc=\"|application/json))",
    "is an event's script": r"\son[a-z]+\s*=",
    "comes from elsewhere": r"(src|<link[^>]*href)\s*=\s*\"(https?:)?//",
    "is an address that nobody looked at": r"href=\"\{\{(?!.*\|\s*https|\s*\w+_url\()",
}
OWN_PATHS = {'href="{{ path }}"'}
"""Addresses that are written in our own code."""


def faults(text: str) -> list[str]:
    for own in OWN_PATHS:
        text = text.replace(own, "")
    return [
        f"{found.group()!r} {fault}"
        for fault, pattern in FORBIDDEN.items()
        for found in re.finditer(pattern, text)
    ]


@pytest.mark.parametrize(
    "file", TEMPLATES, ids=lambda file: str(file.relative_to(FOLDER))
)
def test_a_template_leaves_nothing_unescaped_and_nothing_inline(file: Path) -> None:
    assert faults(file.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "{{ detail|safe }}",
        "{{ detail | safe }}",
        "{% autoescape false %}",
        "<a title={{ name }}>",
        '<p style="color: red">',
        "<script>go()</script>",
        '<button onclick="go()">',
        '<script src="https://cdn.example/x.js">',
        '<link rel="stylesheet" href="//cdn.example/x.css">',
        '<a href="{{ url }}">',
    ],
)
def test_each_of_these_faults_is_found(text: str) -> None:
    assert faults(text)


def test_one_module_alone_says_that_something_is_html_already() -> None:
    said = [
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if re.search(r"\bMarkup\(", file.read_text("utf-8"))
    ]

    assert said == ["web/pages/markdown.py"]
