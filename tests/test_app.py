"""What a process does once it only serves."""

import gc
from collections.abc import Iterator

import pytest

from cds_service.app import settle


@pytest.fixture(autouse=True)
def unsettled() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_is_loaded_is_not_searched_for_garbage_again() -> None:
    kept = [{"loaded": "before the first call"}]

    settle()

    assert not any(each is kept for each in gc.get_objects())
    assert gc.get_freeze_count() > 0
    assert gc.isenabled()
