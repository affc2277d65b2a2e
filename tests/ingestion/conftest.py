"""A database of each test's own."""

from collections.abc import Iterator

import pytest

from cds_service.store.store import Store


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty one."""
    store = Store.open(url)
    yield store
    store.close()
