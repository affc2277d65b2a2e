"""A database of each test's own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cds_service.store.store import Store


@pytest.fixture
def store(tmp_path: Path, new_database: Callable[[Path], str]) -> Iterator[Store]:
    """An empty one."""
    store = Store.open(new_database(tmp_path / "store.sqlite"))
    yield store
    store.close()
