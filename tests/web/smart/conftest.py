"""A server that an EHR opens, which is played on a port of this machine."""

from collections.abc import Callable, Iterator

import pytest

from cds_service.app import create_app
from cds_service.decision import World

from ..conftest import NOW
from .opening import with_ehrs
from .played_ehr import PlayedEhr, playing
from .visitor import Visitor, client_of


@pytest.fixture
def ehr() -> Iterator[PlayedEhr]:
    """An EHR that has Jane open."""
    with playing(PlayedEhr(NOW)) as played:
        yield played


@pytest.fixture
def opened(build: Callable[..., World], ehr: PlayedEhr) -> World:
    """The server that it opens."""
    return with_ehrs(build(), client_of(ehr))


@pytest.fixture
def visit(opened: World) -> Callable[[], Visitor]:
    """Makes another browser before that server."""
    app = create_app(world=opened)
    return lambda: Visitor(app.test_client())


@pytest.fixture
def visitor(visit: Callable[[], Visitor]) -> Visitor:
    """Somebody with a browser."""
    return visit()
