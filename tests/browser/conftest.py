"""A server as an operator runs it, and a browser; one of each for a module."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from ..waiting import PATIENCE
from .browsing import Visitor, need_browser, running_browser, visiting

expect.set_options(timeout=PATIENCE * 1000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave these tests out of what says so: a browser takes seconds to start."""
    for each in items:
        if "tests/browser/" in str(each.path):
            each.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium; in CI it must be there."""
    need_browser()
    with running_browser() as started:
        yield started


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Sends somebody with a browser of their own to a server.

    At the end nothing may have gone wrong that the test did not expect.
    """
    visitors: list[Visitor] = []
    with ExitStack() as open_contexts:

        def send(base: str, **options: Any) -> Visitor:
            visitor = open_contexts.enter_context(visiting(browser, base, **options))
            visitors.append(visitor)
            return visitor

        yield send
        complaints = [said for each in visitors for said in each.unexpected()]
    assert complaints == []
