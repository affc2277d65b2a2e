"""Whatever a record says, a card shows it as text."""

import json
import re
from html import unescape
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from cds_service.rulebook.values.escaping import escape_markdown, shorten

TEXTS = json.loads((Path(__file__).parents[2] / "hostile_texts.json").read_text())
WRITTEN = TEXTS["markup"]
"""Each is shown as it is written; of the others something cannot be seen or is cut."""
HOSTILE = WRITTEN + TEXTS["hidden"]
AROUND = [
    "{}",
    "A paragraph above\n{}",
    "A paragraph above\n{}\n--- below",
    "- {}",
    "> {}",
    "Name: **{}**, and more.\n\nBelow",
    "x{}y",
]
TAG = re.compile(r"<[^>]+>")


def name(text: str) -> str:
    """What a test of the text is called."""
    return ascii(text[:30])


def html(markdown: str) -> str:
    return MarkdownIt("gfm-like", {"linkify": False}).render(markdown)


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("hostile", HOSTILE, ids=name)
def test_c_3_hostile_text_makes_no_markup(hostile: str, around: str) -> None:
    shown = html(around.format(escape_markdown(hostile)))

    assert TAG.findall(shown) == TAG.findall(html(around.format("word")))


@pytest.mark.parametrize("hostile", WRITTEN, ids=name)
def test_hostile_text_is_shown_as_it_is_written(hostile: str) -> None:
    shown = unescape(TAG.sub("", html(escape_markdown(hostile)))).strip()

    assert shown.replace("\u2060", "") == " ".join(hostile.split())


@pytest.mark.parametrize(
    ("text", "autolink"),
    [
        ("see http://evil.test", r"https?://"),
        ("see WWW.evil.test", r"(?i)www\."),
        ("see bob@evil.test", r"[\w.+-]+@[\w-]+\."),
    ],
)
def test_autolinks_stay_broken_after_the_renderer_has_undone_escapes(
    text: str, autolink: str
) -> None:
    assert re.search(autolink, text)

    assert not re.search(autolink, escape_markdown(text).replace("\\", ""))


@pytest.mark.parametrize(
    "text",
    [
        "Metoprolol succinate 50 mg ER (Toprol-XL), once daily",
        "Vitamin B12; 2.5 mg/mL, 10 % w/w: 1-2 drops (left eye) + rinse = done #3",
        "Hypertonie, Stadium II°",
        "قلب",
    ],
)
def test_ordinary_names_are_unchanged(text: str) -> None:
    assert escape_markdown(text) == text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("# x", r"\# x"),
        ("10. x", r"10\. x"),
        ("2.5 mg", "2.5 mg"),
        (":-", r"\:-"),
        ("a_b!", r"a\_b\!"),
        ("a@b.c", "a@\u2060b.c"),
        ("http://a", "http:\u2060//a"),
        ("www.a", "www\u2060.a"),
        ("", ""),
    ],
)
def test_each_escape_is_as_small_as_it_can_be(text: str, escaped: str) -> None:
    assert escape_markdown(text) == escaped


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\x00b\x07c\x1b[31md", "abc[31md"),
        ("abc\u202edef\u2066g\u200fh", "abcdefgh"),
        ("a\u200bb\ufeffc\u00add\U000e0041", "abcd"),
        ("one\ntwo\r\n\tthree\u2029four\x85five", "one two three four five"),
        ("  padded  ", "padded"),
        ("half \ud800 pair", "half \ufffd pair"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("Łukasz 🫀", "Łukasz 🫀"),
    ],
)
def test_only_what_can_be_seen_is_left(text: str, line: str) -> None:
    assert shorten(text, 100) == line


def test_a_long_text_is_cut_at_a_word_and_says_so() -> None:
    assert shorten("one two three", 13) == "one two three"
    assert shorten("one two three", 12) == "one two…"
    assert shorten("one two three", 8) == "one two…"
    assert shorten("one, two, three", 10) == "one, two…"
    assert shorten("one two three four five", 19) == "one two three four…"


def test_a_text_without_spaces_is_cut_anywhere() -> None:
    assert shorten("x" * 300, 10) == "x" * 9 + "…"
    assert shorten("ab " + "x" * 300, 10) == "ab xxxxxx…"


def test_text_from_a_record_is_bounded() -> None:
    assert len(escape_markdown("word " * 10_000)) <= 200
