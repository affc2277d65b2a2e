"""Every delivery of ``fixtures/wearables/<format>/``, and the items that it gives.

Beside ``<name>.json``, or ``.hl7``, stands ``<name>.items.jsonl``: a line for each
item, as ``cds-service adapt`` writes it, or one that says why the whole is refused.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cds_service.protocol.errors import Unprocessable
from cds_service.wearables.adapters.registry import FORMATS
from cds_service.wearables.adapters.written import item_as_json
from cds_service.wearables.samples import LeftOut, Removal, Sample

from .sources import CATALOGUE, Source, identity

FIXTURES = Path(__file__).parents[3] / "fixtures" / "wearables"


ODD_UNITS = {"nightscout/shouldFail/entries-that-are-none"}
"""The grammar of UCUM, which is asked for them, takes a second to load."""


def names_in(folder: str) -> list[str]:
    return sorted(
        str(each.relative_to(FIXTURES)).removesuffix(format.suffix)
        for name, format in FORMATS.items()
        for each in FIXTURES.glob(f"{name}/{folder}/*{format.suffix}")
    )


def deliveries(folder: str) -> list[Any]:
    return [
        pytest.param(each, marks=[pytest.mark.slow] * (each in ODD_UNITS))
        for each in names_in(folder)
    ]


def items_of(name: str) -> Iterator[Any]:
    """The items of a delivery; the refusal of one that is none."""
    format = FORMATS[name.partition("/")[0]]
    body = (format.parse or json.loads)(
        (FIXTURES / (name + format.suffix)).read_bytes()
    )
    try:
        yield from format.adapt(body, Source(), CATALOGUE)
    except Unprocessable as error:
        yield error


def written(item: Any) -> dict[str, Any]:
    if isinstance(item, Unprocessable):
        (problem,) = item.problems
        return {"kind": "refused", "path": problem.expression, "text": problem.text}
    return item_as_json(item)


def expected(name: str) -> list[dict[str, Any]]:
    lines = (FIXTURES / f"{name}.items.jsonl").read_text("utf-8").splitlines()
    return [json.loads(each) for each in lines]


@pytest.mark.parametrize("name", [*deliveries("shouldPass"), *deliveries("shouldFail")])
def test_a_delivery_gives_the_items_that_stand_beside_it(name: str) -> None:
    assert [written(each) for each in items_of(name)] == expected(name)


@pytest.mark.parametrize("name", deliveries("shouldPass"))
def test_of_what_should_pass_nothing_is_rejected(name: str) -> None:
    for item in items_of(name):
        assert not isinstance(item, Unprocessable)
        assert not (isinstance(item, LeftOut) and item.rejected)


@pytest.mark.parametrize("name", deliveries("shouldFail"))
def test_of_what_should_fail_something_is_rejected_at_a_place(name: str) -> None:
    wrong = [
        each
        for each in items_of(name)
        if isinstance(each, Unprocessable)
        or isinstance(each, LeftOut)
        and each.rejected
    ]

    assert wrong
    for each in wrong:
        assert written(each)["path"].startswith("$")


@pytest.mark.parametrize("name", deliveries("shouldPass"))
def test_samples_are_read_again_from_what_is_written_of_them(name: str) -> None:
    read_back = FORMATS["samples"].adapt
    for item in items_of(name):
        if isinstance(item, (Sample, Removal)):
            body = {"samples": [item_as_json(item)]}
            (again,) = read_back(body, Source(), CATALOGUE)
            assert written(again) == {**written(item), "path": "$.samples[0]"}


@pytest.mark.parametrize("name", deliveries("shouldPass"))
def test_no_reading_of_a_delivery_replaces_another_of_it(name: str) -> None:
    samples = [each for each in items_of(name) if isinstance(each, Sample)]

    assert len({identity(each) for each in samples}) == len(samples)


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_has_deliveries_of_both_kinds(format: str) -> None:
    for folder in ("shouldPass", "shouldFail"):
        names = [each for each in names_in(folder) if each.startswith(f"{format}/")]
        assert len(names) >= 3


@pytest.mark.parametrize("format", FORMATS)
def test_no_expectation_is_left_without_its_delivery(format: str) -> None:
    for each in (FIXTURES / format).rglob("*.items.jsonl"):
        told = each.name.replace(".items.jsonl", FORMATS[format].suffix)
        assert each.with_name(told).exists()
