"""Thousands of samples are looked up by their key, however many there are."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from cds_service.store.records import AuditEvent, Intake
from cds_service.store.samples import bulk
from cds_service.store.samples.records import SampleBatch, StreamOwner
from cds_service.store.store import Store
from cds_service.wearables.samples import Sample

from .conftest import EIGHT, NOW
from .test_links import JANE

PLACES: list[tuple[Any, ...]] = [
    (1, 1_700_000_000_000_000 + place, b"k" * 16) for place in range(3000)
]
NAMED: list[tuple[Any, ...]] = [(stream, key) for stream, _, key in PLACES]


@pytest.fixture
def crowded(store: Store, make_sample: Callable[..., Sample], rows: Any) -> Store:
    """As many samples as PostgreSQL would rather read whole than look each one up."""
    for source_id in ("", "r"):
        told = [
            replace(
                make_sample(),
                source_id=source_id and f"{source_id}-{place}",
                start=EIGHT + timedelta(seconds=place),
                end=EIGHT + timedelta(seconds=place),
            )
            for place in range(2_000)
        ]
        batch = SampleBatch(StreamOwner(JANE, "watch"), told)
        store.take_in(Intake(samples=(batch,)), AuditEvent(NOW, "delivery"), NOW)
    rows("ANALYZE")
    return store


@pytest.mark.parametrize("kind", ["postgresql"])
def test_no_table_is_read_for_what_a_few_thousand_are(crowded: Store, url: str) -> None:
    asked = {
        bulk._FIND["postgresql", bulk.BY_TIME]: PLACES,
        bulk._FIND["postgresql", bulk.BY_NAME]: NAMED,
        bulk._REMOVE["postgresql"]: PLACES,
    }
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        for statement, places in asked.items():
            arrays = bulk._transposed(places)
            found = connection.execute(f"EXPLAIN {statement}", arrays).fetchall()

            plan = "\n".join(line for (line,) in found)
            assert "Index Scan using samples_" in plan
            assert "Seq Scan on samples" not in plan
            assert "Hash Join" not in plan and "Merge Join" not in plan


@pytest.mark.parametrize("kind", ["sqlite"])
def test_sqlite_searches_by_the_whole_key(crowded: Store, rows: Any) -> None:
    for statement, place in (
        (bulk._FIND["sqlite", bulk.BY_TIME].format("(1, 1, x'')"), ""),
        (bulk._FIND["sqlite", bulk.BY_NAME].format("(1, x'')"), ""),
        (bulk._REMOVE["sqlite"], "1"),
    ):
        asked = f"EXPLAIN QUERY PLAN {statement.replace('?', place)}"

        found = " ".join(row["detail"] for row in rows(asked))

        assert "SEARCH samples USING" in found
        assert "SCAN samples" not in found
