"""A plot says what was measured, by shapes, words and numbers, and nothing else."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cds_service.wearables.samples import microseconds
from cds_service.web.pages.plots.axes import Timespan
from cds_service.web.pages.plots.drawing import (
    FRAME,
    TOP,
    Curve,
    Pillar,
    Plot,
    Shade,
    Threshold,
    Track,
    draw,
)
from cds_service.web.pages.plots.svg import Svg, element

HOSTILE = json.loads((Path(__file__).parents[3] / "hostile_texts.json").read_text())
TEXTS = [each for texts in HOSTILE.values() for each in texts]
HOUR = 3_600_000_000


def at(hour: float) -> int:
    return round(microseconds(datetime(2026, 11, 22, tzinfo=UTC)) + hour * HOUR)


DAY = Timespan(at(0), at(24), UTC)


def plot(**told: Any) -> Plot:
    usual: dict[str, Any] = {"says": "Nothing.", "timespan": DAY}
    usual |= {"name": "p", "title": "Heart rate", "unit": "/min"}
    return Plot(**{**usual, **told})


def svg_of(told: Plot) -> Svg:
    return draw(told).svg


def parsed(svg: Svg) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def having(svg: Svg, name: str) -> list[ElementTree.Element]:
    """The elements of a class."""
    return [e for e in parsed(svg).iter() if name in e.get("class", "").split()]


def test_an_element_is_written_in_full() -> None:
    inside = element("tspan", {"class": "name"}, "A & B")

    written = element("text", {"x": 1.005, "y": -0.001, "class": '"'}, "< 1 ", inside)

    assert written == (
        '<text x="1" y="0" class="&quot;">&lt; 1 '
        '<tspan class="name">A &amp; B</tspan></text>'
    )


def test_who_cannot_see_it_is_told_what_there_is_to_see() -> None:
    root = parsed(svg_of(plot(says="Heart rate: 3 readings from 60 to 100 /min.")))

    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "p-title p-says"
    assert [(each.tag, each.get("id"), each.text) for each in root[:2]] == [
        ("title", "p-title", "Heart rate"),
        ("desc", "p-says", "Heart rate: 3 readings from 60 to 100 /min."),
    ]


def test_readings_are_a_line_with_their_gap() -> None:
    times = [at(each) for each in (0, 1, 2, 12)]
    curve = Curve("Heart rate", times, [60.0, 80.0, 70.0, 100.0], 2 * HOUR)

    (line,) = having(svg_of(plot(curves=[curve])), "line")

    assert line.get("d") == "M0 240L33.3 120 66.7 180M400 0h0"


def test_the_axis_has_its_unit_and_the_times_their_day() -> None:
    svg = svg_of(plot(curves=[Curve("Heart rate", [at(1)], [70.0])]))

    shown = [each.text for each in having(svg, "value")]
    assert shown == ["60", "65", "70", "75", "80", "/min"]
    assert [each.text for each in having(svg, "time")] == [
        *("00:00", "22 Nov", "03:00", "06:00", "09:00"),
        *("12:00", "15:00", "18:00", "21:00"),
    ]


def test_equal_readings_lie_in_the_middle() -> None:
    curve = Curve("Heart rate", [at(1), at(2)], [70.0, 70.0], HOUR)

    (line,) = having(svg_of(plot(curves=[curve])), "line")

    assert line.get("d") == "M33.3 120L66.7 120"


@pytest.mark.parametrize(("apart", "size"), [(1, "dots"), (0.25, "dots many")])
def test_dots_that_stand_close_are_smaller(apart: float, size: str) -> None:
    times = [at(number * apart) for number in range(10)]
    curve = Curve("Body weight", times, [80.0 + number for number in range(10)])

    (dots,) = having(svg_of(plot(curves=[curve])), "dots")

    assert dots.get("class") == size


def test_without_readings_there_is_a_frame_and_no_numbers() -> None:
    svg = svg_of(plot(curves=[Curve("Heart rate", gap_us=HOUR)]))

    assert having(svg, "line") == having(svg, "value") == []
    assert having(svg, "time") != []


def test_a_limit_is_a_line_with_its_number_its_side_and_its_name() -> None:
    limits = [Threshold(at(0), at(24), 100, "≥", "High heart rate at rest")]
    curve = Curve("Heart rate", [at(1)], [60.0])

    line, text = having(svg_of(plot(curves=[curve], thresholds=limits)), "limit")

    assert (line.get("y"), line.get("width")) == (str(TOP - 0.5), "100%")
    assert "".join(text.itertext()) == "≥ 100 High heart rate at rest"


def test_a_limit_that_was_another_before_is_a_step() -> None:
    limits = [
        Threshold(at(0), at(6), 100, "≥", "High"),
        Threshold(at(6), at(24), 110, "≥", "High"),
    ]

    lines = having(svg_of(plot(thresholds=limits)), "limit")

    drawn = [(e.get("x"), e.get("width")) for e in lines if e.tag == "rect"]
    assert drawn == [("0%", "25%"), ("25%", "75%")]


def test_names_of_limits_that_are_close_stand_above_each_other() -> None:
    limits = [
        Threshold(at(0), at(24), value, "<", title)
        for value, title in ((70, "Low"), (69, "Lower"), (300, "x"))
    ]

    texts = [
        e for e in having(svg_of(plot(thresholds=limits)), "limit") if e.tag == "text"
    ]

    heights = sorted(float(each.get("y", 0)) for each in texts)
    assert all(b - a >= 14 for a, b in zip(heights, heights[1:]))


def test_detectors_of_one_limit_share_its_name() -> None:
    limits = [
        Threshold(at(0), at(24), 70, sign, title)
        for sign, title in (("<", "Low"), ("≤", "Lowish"), ("<", "Low by night"))
    ]

    texts = [
        e for e in having(svg_of(plot(thresholds=limits)), "limit") if e.tag == "text"
    ]

    assert ["".join(e.itertext()) for e in texts] == [
        "< 70 Low, Low by night; ≤ 70 Lowish"
    ]


def test_episodes_have_numbers_as_far_as_there_is_room() -> None:
    episodes = [
        Shade(at(6), at(9), "1"),
        Shade(at(6.5), at(6.6), "2"),
        Shade(at(18), at(30), "3"),
    ]

    shown = having(svg_of(plot(episodes=episodes)), "episode")

    assert [e.text for e in shown if e.tag == "text"] == ["1–2", "3"]
    blocks = [(e.get("x"), e.get("width")) for e in shown if e.tag == "rect"]
    assert blocks == [("25%", "12.5%"), ("27.08%", "0.42%"), ("75%", "25%")]


def test_an_episode_of_a_moment_can_still_be_seen() -> None:
    (block,) = having(svg_of(plot(episodes=[Shade(at(24), at(24))])), "episode")

    assert (block.get("x"), block.get("width")) == ("99.8%", "0.2%")


def test_time_off_the_wrist_is_hatched_and_what_is_withheld_otherwise() -> None:
    svg = svg_of(
        plot(off_wrist=[Shade(at(6), at(12))], withheld=[Shade(at(12), at(24))])
    )

    (off,), (withheld,) = having(svg, "off-wrist"), having(svg, "withheld")
    assert (off.get("fill"), off.get("x"), off.get("width")) == (
        *("url(#p-off-wrist)", "25%", "25%"),
    )
    assert withheld.get("fill") == "url(#p-withheld)"
    patterns = [each for each in parsed(svg).iter("pattern")]
    assert [each.get("id") for each in patterns] == ["p-off-wrist", "p-withheld"]
    assert patterns[0][0].get("d") != patterns[1][0].get("d")


def test_days_are_pillars_from_their_lowest_to_their_highest() -> None:
    days = [Pillar(at(0), at(12), 50, 100), Pillar(at(12), at(24), 60, 90)]

    (pillars,) = having(svg_of(plot(pillars=days)), "pillars")

    assert pillars.get("d") == "M40 0H360V240H40zM440 48H760V192H440z"


def test_a_day_that_is_not_shown_at_all_is_no_pillar() -> None:
    days = [Pillar(at(-24), at(0), 50, 100)]

    assert having(svg_of(plot(pillars=days)), "pillars") == []


def test_a_track_has_its_name_and_its_stretches() -> None:
    tracks = [
        Track(
            "Metoprolol", "medication", [Shade(at(-9), at(6)), Shade(at(12), at(99))]
        ),
        Track("Not judged", "unjudged", []),
    ]

    root = svg_of(plot(tracks=tracks))

    names = [e for e in having(root, "track") if e.tag == "text"]
    assert [each.text for each in names] == ["Metoprolol", "Not judged"]
    drawn = [(e.get("x"), e.get("width")) for e in having(root, "medication")]
    assert drawn == [("0%", "25%"), ("50%", "50%")]
    below = [float(each.get("y", 0)) for each in names]
    assert below[0] > TOP + FRAME and below[1] > below[0]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_from_outside_is_text_wherever_it_stands(text: str) -> None:
    told = plot(
        title=text,
        says=text,
        curves=[Curve(text, [at(1)], [60.0])],
        thresholds=[Threshold(at(0), at(24), 70, "<", text)],
        episodes=[Shade(at(2), at(3), text)],
        tracks=[Track(text, "medication", [Shade(at(1), at(2), text)])],
    )
    plain = svg_of(plot(**{**vars_of(told), **INNOCENT}))

    drawn = svg_of(told)

    shape = [(e.tag, sorted(e.keys())) for e in parsed(drawn).iter()]
    assert shape == [(e.tag, sorted(e.keys())) for e in parsed(plain).iter()]
    assert parsed(drawn)[0].text == written(text)


INNOCENT = {
    "title": "A",
    "says": "A",
    "thresholds": [Threshold(at(0), at(24), 70, "<", "A")],
    "episodes": [Shade(at(2), at(3), "A")],
    "tracks": [Track("A", "medication", [Shade(at(1), at(2), "A")])],
}


def vars_of(told: Plot) -> dict[str, object]:
    return {name: getattr(told, name) for name in Plot.__slots__}


def written(text: str) -> str:
    """What XML makes of a text: one end of lines, and some characters are none."""
    known = "\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff"
    kept = re.sub(f"[^{known}]", "\ufffd", text)
    return kept.replace("\r\n", "\n").replace("\r", "\n")


def test_nothing_in_it_is_styled_or_runs() -> None:
    svg = svg_of(plot(**INNOCENT))

    names = {name for each in parsed(svg).iter() for name in each.keys()}
    assert "style" not in names
    assert not any(each.startswith("on") for each in names)
    assert {each.tag for each in parsed(svg).iter()} <= {
        *("svg", "title", "desc", "defs", "pattern", "path", "line", "rect"),
        *("text", "tspan"),
    }
