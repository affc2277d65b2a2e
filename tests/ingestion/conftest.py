"""A database of each test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cds_service.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty one."""
    store = Store.open(f"sqlite:///{tmp_path / 'store.sqlite'}")
    store.migrate()
    yield store
    store.close()
