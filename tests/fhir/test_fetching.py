"""Queries on their way, in parallel and under one deadline."""

import threading

import pytest

from cds_service.fhir.client import FhirFailure
from cds_service.fhir.fetching import Crew, Fetch
from cds_service.fhir.reading import Answer


def failing(*pages, error):
    yield from pages
    raise error


def test_an_answer_holds_what_came_before_a_failure():
    fetch = Fetch(failing(1, 2, error=FhirFailure("HTTP 500")), Answer((0,)))

    with Crew(30.0) as crew:
        crew.start([fetch, fetch])
        crew.wait_for_all()

    assert fetch.answer() == Answer((0, 1, 2), "HTTP 500", "")


def test_a_fetch_that_is_still_on_its_way_has_timed_out():
    release = threading.Event()

    def hanging():
        yield 1
        release.wait(60)

    fetch = Fetch(hanging(), Answer(origin="fhir"), "narrowed by scope")
    with Crew(0.5) as crew:
        crew.start([fetch])
        crew.wait_for([fetch])
    answer = fetch.answer()
    release.set()

    assert answer == Answer((1,), "timeout; narrowed by scope", "fhir")


def test_a_mistake_in_the_code_is_not_taken_for_a_failed_read():
    with Crew(30.0) as crew, pytest.raises(ZeroDivisionError):
        crew.start([Fetch(failing(error=ZeroDivisionError()))])
        crew.wait_for_all()
