"""Queries on their way, in parallel and under one deadline."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cds_service.fhir.fetching import Crew, Fetch
from cds_service.fhir.questions import Obtained
from cds_service.http.exchange import ReadFailure

from ..waiting import PATIENCE, until, with_time_enough


@pytest.fixture
def threads():
    """Two threads, which several crews share."""
    with ThreadPoolExecutor(2) as made:
        yield made


@pytest.fixture
def release(threads):
    """Lets everything go on that waits for it, before *threads* are waited for."""
    event = threading.Event()
    yield event
    event.set()


def failing(*pages, error):
    yield from pages
    raise error


def hanging(release, *pages):
    yield from pages
    release.wait(PATIENCE)


def test_an_answer_holds_what_came_before_a_failure(threads):
    fetch = Fetch(failing(1, 2, error=ReadFailure("HTTP 500")), Obtained((0,)))

    with Crew(30.0, threads) as crew:
        crew.start([fetch, fetch])
        crew.wait_for_all()

    assert fetch.obtained() == Obtained((0, 1, 2), "HTTP 500", "")


def test_a_fetch_that_is_still_on_its_way_has_timed_out(threads):
    def attempt(seconds):
        release = threading.Event()
        pages = hanging(release, 1)
        fetch = Fetch(pages, Obtained(origin="fhir"), "narrowed by scope")
        with Crew(seconds, threads) as crew:
            crew.start([fetch])
            found = crew.wait_for([fetch]), fetch.obtained()
        release.set()
        return found

    in_time, answer = with_time_enough(attempt, lambda found: found[1].pages, 0.3)

    assert answer == Obtained((1,), "timeout; narrowed by scope", "fhir")
    assert not in_time


def test_a_part_of_the_time_can_be_waited_for(release, threads):
    slow, soon = Fetch(hanging(release)), Fetch(iter([1]))

    with Crew(2 * PATIENCE, threads) as crew:
        crew.start([slow, soon])
        assert crew.wait_for([soon], 0.9)
        assert not crew.wait_for([slow], 0.001)
        release.set()


def test_what_never_began_does_not_begin_after_the_answer(release, threads):
    begun = []

    def late():
        begun.append(1)
        yield 1

    with Crew(0.5, threads) as crew:
        crew.start([Fetch(hanging(release)), Fetch(hanging(release)), Fetch(late())])
        crew.wait_for_all()
    release.set()
    threads.shutdown(wait=True)

    assert begun == []


def test_the_end_of_what_is_cut_off_is_waited_for(threads):
    ended = []
    cut = threading.Event()

    def slow_to_end():
        cut.wait(PATIENCE)
        threading.Event().wait(0.3)
        ended.append(1)
        yield 1

    with Crew(30.0, threads) as crew:
        crew.start([Fetch(slow_to_end())])
        cut.set()

    assert ended == [1]


def test_a_fetch_knows_how_long_it_took(release, threads):
    fetch, other = Fetch(iter([1])), Fetch(hanging(release))
    with Crew(2 * PATIENCE, threads) as crew:
        crew.start([fetch, other])
        assert crew.wait_for([fetch])
        taken = fetch.seconds
        until(lambda: other.seconds > taken + 0.05)
        assert fetch.seconds == taken
        release.set()


def test_a_mistake_in_the_code_is_not_taken_for_a_failed_read(threads):
    with Crew(30.0, threads) as crew, pytest.raises(ZeroDivisionError):
        crew.start([Fetch(failing(error=ZeroDivisionError()))])
        crew.wait_for_all()
