"""From a vendor's cloud to the hospital's FHIR server: a day becomes an Observation."""

from collections.abc import Callable
from datetime import timedelta
from threading import Event
from typing import Any

import pytest

from cds_service.connect.played import PlayedGoogle
from cds_service.connect.pulling import Puller, PullStep
from cds_service.delivery.dispatcher import Dispatcher, Surroundings, run
from cds_service.delivery.fhir import FhirSender
from cds_service.store.store import Store
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.telling import Subscription, TakenDay

from ..delivery.fhir_simulator import Hospital
from ..delivery.test_fhir import telling_to
from ..shipped import rulebook
from .conftest import NEW_YORK, Clock, Connect
from .test_pulling import THREE, midnight

STEPS = Subscription("ehr", "north", days=(TakenDay("steps", ("total",)),))
Pull = Callable[..., list[PullStep]]


@pytest.fixture
def tell(store: Store, clock: Clock) -> Callable[[FhirSender], None]:
    """Tells what is due an hour and a half later."""
    store.outbox.subscribe([STEPS])

    def go(sender: FhirSender) -> None:
        gate = ConsentGate(rulebook().catalogue, NEW_YORK, assumed=True)
        clock.now += timedelta(minutes=90)
        around = Surroundings(lambda tenant: gate, clock, chance=lambda: 0.0)
        run([Dispatcher(store.outbox, sender, around)], Event(), once=True)

    return go


def told(hospital: Hospital) -> dict[str, tuple[str, float, str]]:
    """Of each day its status, its steps and its id."""
    return {
        (each.get("effectiveDateTime") or each["effectivePeriod"]["start"])[:10]: (
            each["status"],
            each["valueQuantity"]["value"],
            each["id"],
        )
        for each in hospital.all("Observation")
    }


def test_days_that_are_pulled_are_told_once_and_a_corrected_one_is_amended(
    google: PlayedGoogle, connect: Connect, pull: Pull, tell: Any
) -> None:
    google.steps = {midnight(day): 6000 for day in THREE}
    connect()
    hospital = Hospital()
    with telling_to(hospital) as sender:
        pull()
        tell(sender)
        first = told(hospital)
        google.steps[midnight("2026-11-22")] = 6120
        pull()
        tell(sender)

    assert {day: of[:2] for day, of in first.items()} == {
        day: ("final", 6000) for day in THREE
    }
    last = told(hospital)
    assert last["2026-11-22"] == ("amended", 6120, first["2026-11-22"][2])
    assert {**last, "2026-11-22": None} == {**first, "2026-11-22": None}
    assert len(hospital.all("Observation")) == 3


def test_the_steps_of_a_day_are_what_the_physical_activity_guide_wants(
    google: PlayedGoogle, connect: Connect, pull: Pull, tell: Any
) -> None:
    connect()
    hospital = Hospital()
    with telling_to(hospital) as sender:
        pull()
        tell(sender)

    days = hospital.all("Observation")
    assert len(days) == len(THREE)
    for each in days:
        assert "41950-7" in [of["code"] for of in each["code"]["coding"]]
        assert each["valueQuantity"]["code"] == "/d"
        assert each["subject"] == {"reference": "Patient/jane"}


def test_who_agrees_to_no_disclosure_is_pulled_and_not_told(
    google: PlayedGoogle,
    connect: Connect,
    make_puller: Callable[..., Puller],
    desk: Any,
    store: Store,
    clock: Clock,
) -> None:
    store.outbox.subscribe([STEPS])
    connect()
    list(make_puller(desk).pull())
    hospital = Hospital()
    gate = ConsentGate(rulebook().catalogue, NEW_YORK, assumed=False)
    clock.now += timedelta(minutes=90)
    with telling_to(hospital) as sender:
        around = Surroundings(lambda tenant: gate, clock, chance=lambda: 0.0)
        run([Dispatcher(store.outbox, sender, around)], Event(), once=True)

    assert hospital.all("Observation") == []
