import gc
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from cds_service.garbage import seldom_collected, uncollected


@pytest.mark.parametrize("away", [uncollected, seldom_collected])
def test_the_garbage_collector_comes_back_whatever_became_of_the_work(
    away: Callable[[], AbstractContextManager[None]],
) -> None:
    before = (gc.isenabled(), gc.get_threshold())

    with pytest.raises(LookupError), away():
        assert (gc.isenabled(), gc.get_threshold()) != before
        raise LookupError

    assert (gc.isenabled(), gc.get_threshold()) == before
