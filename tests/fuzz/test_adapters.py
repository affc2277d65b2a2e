"""Whatever comes in whatever format: items, or one refusal, and never anything else.

Deliveries of ``fixtures/wearables/`` are bent: members lost, doubled, replaced by what
no schema foresees; bytes changed; lists and texts grown. `CDS_FUZZ_EXAMPLES=20000` is
the long run.
"""

import json
import math
import os
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_service.protocol.errors import Unprocessable
from cds_service.protocol.formats import mend
from cds_service.wearables.adapters.registry import FORMATS
from cds_service.wearables.adapters.written import item_as_json
from cds_service.wearables.samples import (
    REJECTED,
    SKIPPED,
    Item,
    LeftOut,
    Notice,
    Removal,
    Sample,
)

from ..wearables.adapters.sources import CATALOGUE, Source

EXAMPLES = int(os.environ.get("CDS_FUZZ_EXAMPLES", "40"))
"""Of each property and format."""
fuzzed = settings(
    max_examples=EXAMPLES,
    suppress_health_check=list(HealthCheck),
    derandomize=EXAMPLES < 1000,
    deadline=None,
)
FIXTURES = Path(__file__).parents[2] / "fixtures" / "wearables"
SOURCES = st.sampled_from(
    [
        Source(),
        Source(time_zone="America/New_York"),
        Source(time_zone="Pacific/Kiritimati", fhir_base="https://ehr.example.org"),
    ]
)
every_format = pytest.mark.parametrize("format", FORMATS)

ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        "",
        " ",
        "x" * 300,
        "\ud800",
        "\ufffd",
        "a\0b",
        "1e999",
        "NaN",
        "-1",
        "39",
        "9" * 30,
        "2026-11-22",
        "2026-11",
        "0000-00-00",
        "9999-12-31T23:59:59Z",
        "9999-12-31 11:59:59\u202fPM +1400",
        "2000-01-01T00:00:00+14:00",
        "0001-01-01T00:00:00-18:00",
        "2026-11-01 01:30:00",
        "2026-11-22T24:00:00Z",
        0,
        -1,
        -0.0,
        1e308,
        5e-324,
        math.nan,
        math.inf,
        2**53,
        2**63 - 1,
        -(2**63),
        10**400,
        [],
        {},
        [[]],
        [None],
        {"value": None},
        {"": {}},
    ]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | ODD,
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


def deliveries(format: str) -> list[Any]:
    known = FORMATS[format]
    files = sorted((FIXTURES / format).glob(f"*/*{known.suffix}"))
    return [(known.parse or json.loads)(each.read_bytes()) for each in files]


def raw_of(body: Any) -> bytes:
    """A delivery as it is posted: JSON, or text in a format that is none."""
    if isinstance(body, str) and body.startswith("MSH"):
        return body.encode("utf-8", "surrogatepass")
    return json.dumps(body).encode()


def adapted(format: str, body: Any, source: Source) -> list[Item]:
    """The items of a delivery; none of one that is refused, with its place."""
    try:
        return list(FORMATS[format].adapt(body, source, CATALOGUE))
    except Unprocessable as error:
        assert error.problems
        for problem in error.problems:
            assert problem.text and problem.expression.startswith("$")
        return []


def check(items: list[Item]) -> None:
    """Every item can be kept, written, and said where it came from."""
    for item in items:
        text = json.dumps(item_as_json(item), allow_nan=False, ensure_ascii=False)
        assert text.encode("utf-8")
        match item:
            case Sample():
                check_sample(item)
            case Notice():
                assert item.type in CATALOGUE.alert_types
                assert 0 < len(item.id) <= 128
                assert item.start.tzinfo
                assert item.end is None or item.end >= item.start
            case Removal():
                assert item.source_id or item.metric
                assert 0 <= item.revision < 2**53
            case LeftOut():
                assert item.reason in REJECTED + SKIPPED
                assert item.problem.text
                assert item.problem.expression.startswith("$")
                assert len(item.problem.expression) < 400


def check_sample(sample: Sample) -> None:
    metric = CATALOGUE.metrics[sample.metric]
    assert metric.lowest <= sample.value <= metric.highest
    assert sample.unit == metric.unit
    assert sample.start.tzinfo and sample.end >= sample.start
    assert 2000 <= sample.start.year <= sample.end.year <= 9999
    assert len(sample.key) == 16
    assert len(sample.source_id) <= 255 and len(sample.device.id) <= 255
    assert 0 <= sample.revision < 2**53
    assert sample.path.startswith("$")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document."""
    yield path
    if isinstance(value, dict):
        for name, each in value.items():
            yield from places(each, (*path, name))
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from places(each, (*path, index))


def put(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with another value at a place."""
    if not path:
        return value
    held = body
    for name in path[:-1]:
        held = held[name]
    held[path[-1]] = value
    return body


def at(body: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        body = body[name]
    return body


def garble(draw: Any, text: str) -> str:
    """Text with up to three places where delimiters or characters are not as before."""
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(text) - 1))
        odd = draw(
            st.sampled_from([*"|^~\\&\r\n<>-+.9\0 ", '""', "MSH|", "OBX|", "9" * 30])
        )
        end = place + draw(st.integers(0, 12))
        text = text[:place] + odd + text[end:]
    return text


@st.composite
def bent(draw: Any, format: str) -> Any:
    """A delivery with up to three places that are not what they were."""
    body = deepcopy(draw(st.sampled_from(deliveries(format))))
    if isinstance(body, str) and draw(st.booleans()):
        return garble(draw, body)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(body))))
        held = at(body, path)
        match draw(st.integers(0, 3)):
            case 0:
                body = put(body, path, deepcopy(draw(ODD | JSON)))
            case 1 if isinstance(held, dict) and held:
                del held[draw(st.sampled_from(sorted(held)))]
            case 2 if isinstance(held, list):
                held.extend(deepcopy(held))
            case _:
                body = put(body, path, [held])
    return body


@every_format
@fuzzed
@given(data=st.data(), source=SOURCES)
def test_x_a_delivery_that_is_bent_gives_items_or_is_refused(
    format: str, data: Any, source: Source
) -> None:
    check(adapted(format, data.draw(bent(format)), source))


@every_format
@fuzzed
@given(body=JSON, source=SOURCES)
def test_x_any_json_gives_items_or_is_refused(
    format: str, body: Any, source: Source
) -> None:
    check(adapted(format, body, source))


@every_format
@fuzzed
@given(data=st.data())
def test_x_changed_bytes_that_are_json_still_give_items_or_are_refused(
    format: str, data: Any
) -> None:
    text = bytearray(
        json.dumps(data.draw(st.sampled_from(deliveries(format)))).encode()
    )
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place] = data.draw(st.integers(0, 255))
    try:
        body = json.loads(mend(bytes(text))[0])
    except ValueError:
        return

    check(adapted(format, body, Source()))


@every_format
@pytest.mark.parametrize("size", [0, 1, 2000])
def test_x_lists_of_any_length_give_an_item_for_each(format: str, size: int) -> None:
    for body in deliveries(format):
        for path in [each for each in places(body) if isinstance(at(body, each), list)]:
            held = at(body, path)
            if held and not any(isinstance(each, list) for each in held):
                grown = put(deepcopy(body), path, (held * size)[:size])
                check(adapted(format, grown, Source())[:50])
                break


@every_format
def test_x_texts_and_numbers_without_end_are_no_fault(format: str) -> None:
    for body in deliveries(format):
        for path in places(body):
            if not isinstance(at(body, path), (dict, list)):
                for huge in ("9" * 100_000, 10**5000, "2026-" * 20_000):
                    check(adapted(format, put(deepcopy(body), path, huge), Source()))


@every_format
@fuzzed
@given(data=st.data())
def test_x_what_is_taken_is_taken_again_from_what_is_written(
    format: str, data: Any
) -> None:
    items = adapted(format, data.draw(bent(format)), Source())
    for item in [each for each in items if isinstance(each, Sample)]:
        (again,) = adapted("samples", {"samples": [item_as_json(item)]}, Source())

        assert isinstance(again, Sample)
        assert again.key == item.key
        assert (again.value, again.flags, again.revision) == (
            item.value,
            item.flags,
            item.revision,
        )
