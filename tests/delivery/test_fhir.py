"""A FHIR server is told of episodes and days: each Observation is there once."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cds_service.delivery.fhir import FhirSender, read_remote
from cds_service.delivery.fhir_server import WrittenServer
from cds_service.delivery.fhir_writing import OnceWriter
from cds_service.delivery.records import Accepted, Declined, Later, Reply, Uncertain
from cds_service.fhir.client import FhirPool
from cds_service.fhir.models import check_resource
from cds_service.http.addresses import ListedServer, Reach, parse_base
from cds_service.wearables.telling import (
    DAY,
    EPISODE,
    PatientIdentity,
    PriorTelling,
    TakenDay,
    Telling,
    Thing,
    ToldAs,
    day_key,
    episode_key,
)

from ..waiting import PATIENCE, with_time_enough
from ..wearables.outputs.things import NAMING, PATIENT, SHIPPED, a_day, an_episode
from .fhir_simulator import DROPPED, MUTE, WELL, Hospital, serving

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SECONDS = 1.0
"""For one answer, of a server that may give none."""
MODES = [True, False]
"""Whether resources may be put under ids that are not there yet."""


@contextmanager
def telling_to(hospital: Hospital, **options: Any) -> Iterator[FhirSender]:
    """A sender that tells the hospital, and waits for it as long as is said."""
    with serving(hospital) as url:
        pool = FhirPool(size=8)
        base = parse_base(url)
        assert base is not None
        server = WrittenServer(
            base,
            ListedServer(url, Reach.LOCAL),
            pool,
            options.pop("tokens", None),
            seconds=options.pop("seconds", PATIENCE),
        )
        writer = OnceWriter(server)
        sender = FhirSender(
            "ehr", writer, lambda: SHIPPED, NAMING, clock=lambda: NOW,
            **options,
        )  # fmt: skip
        try:
            yield sender
        finally:
            pool.close()


def of(thing: Thing | None, id: str = "ep-7f3a", **changed: Any) -> Telling:
    """A telling of an episode, or of a day of steps."""
    told = Telling("ehr", PatientIdentity(PATIENT), EPISODE, "", 1, thing)
    if thing is None or hasattr(thing, "threshold"):
        return replace(told, key=episode_key("phones", id), **changed)
    key = day_key(thing.metric, str(thing.day), thing.part)
    return replace(told, kind=DAY, key=key, **changed)


def tell(sender: FhirSender, telling: Telling) -> Reply:
    return sender.send(telling, time.monotonic() + PATIENCE)


def told(sender: FhirSender, telling: Telling) -> PriorTelling:
    """What is noted of a telling that is taken at once."""
    reply = tell(sender, telling)
    assert isinstance(reply, Accepted), reply
    return PriorTelling(telling.rev, reply.remote, reply.status, reply.digest)


def persist(sender: FhirSender, telling: Telling, tries: int = 60) -> PriorTelling:
    """Tell it as the outbox does, again and again, and once more what was given up."""
    for _ in range(tries):
        reply = tell(sender, telling)
        if isinstance(reply, Accepted):
            return PriorTelling(telling.rev, reply.remote, reply.status, reply.digest)
        if isinstance(reply, Uncertain):
            telling = replace(telling, uncertain=True)
    raise AssertionError(reply)


@pytest.mark.parametrize("update_create", MODES)
def test_an_episode_is_one_observation_with_its_device_and_provenance(
    update_create: bool,
) -> None:
    hospital = Hospital(update_create)
    with telling_to(hospital) as sender:
        prior = told(sender, of(an_episode()))

    (observation,) = hospital.all("Observation")
    (device,) = hospital.all("Device")
    (provenance,) = hospital.all("Provenance")
    assert observation["status"] == "final"
    assert observation["subject"] == {"reference": "Patient/123"}
    assert observation["device"]["reference"] == f"Device/{device['id']}"
    assert provenance["target"] == [{"reference": f"Observation/{observation['id']}"}]
    assert read_remote(prior.remote)["episode"].id == observation["id"]
    assert prior.status is ToldAs.FINAL
    # The simulator's versions and times are not FHIR's.
    for each in (observation, device, provenance):
        assert check_resource({**each, "meta": {}}) == []


@pytest.mark.parametrize("update_create", MODES)
def test_what_is_revised_is_amended_and_what_is_taken_back_in_error_under_one_id(
    update_create: bool,
) -> None:
    hospital = Hospital(update_create)
    with telling_to(hospital) as sender:
        first = told(sender, of(an_episode(end=None, status="open")))
        again = told(sender, of(an_episode(), rev=2, prior=first))
        (amended,) = hospital.all("Observation")
        gone = told(sender, of(an_episode(status="retracted"), rev=3, prior=again))
        (in_error,) = hospital.all("Observation")

    assert amended["status"] == "amended"
    assert "end" in amended["effectivePeriod"]
    assert in_error["status"] == "entered-in-error"
    assert in_error["id"] == amended["id"]
    assert gone.status is ToldAs.ENTERED_IN_ERROR
    assert len(hospital.all("Provenance")) == len(hospital.all("Device")) == 1


@pytest.mark.parametrize("update_create", MODES)
def test_what_is_gone_from_the_database_is_taken_back(update_create: bool) -> None:
    hospital = Hospital(update_create)
    with telling_to(hospital) as sender:
        first = told(sender, of(an_episode()))
        told(sender, of(None, rev=2, prior=first))

    assert hospital.by_status() == {"entered-in-error": 1}


@pytest.mark.parametrize("update_create", MODES)
def test_what_holds_again_after_it_was_taken_back_is_amended(
    update_create: bool,
) -> None:
    hospital = Hospital(update_create)
    with telling_to(hospital) as sender:
        first = told(sender, of(an_episode()))
        gone = told(sender, of(None, rev=2, prior=first))
        back = told(sender, of(an_episode(), rev=3, prior=gone))

    assert hospital.by_status() == {"amended": 1}
    assert back.status is ToldAs.AMENDED


def test_what_would_say_the_same_is_not_sent_again() -> None:
    hospital = Hospital()
    with telling_to(hospital) as sender:
        first = told(sender, of(an_episode()))
        writes = hospital.writes
        again = told(sender, of(an_episode(rev=9), rev=2, prior=first))

    assert hospital.writes == writes
    assert again.status is ToldAs.FINAL


def test_what_was_never_told_is_not_taken_back() -> None:
    hospital = Hospital()
    with telling_to(hospital) as sender:
        told(sender, of(None))

    assert hospital.writes == 0


# Days


@pytest.mark.parametrize("update_create", MODES)
def test_a_day_is_one_observation_of_each_value_that_is_told(
    update_create: bool,
) -> None:
    hospital = Hospital(update_create)
    bands = dict.fromkeys(("very-low", "low", "in-range", "high", "very-high"), 100.0)
    day = a_day("sensor-glucose", mean=150.0, covered=500.0, bands=bands)
    with telling_to(hospital) as sender:
        first = told(sender, of(day))
        told(sender, of(replace(day, mean=151.0), rev=2, prior=first))

    assert sorted(
        (each["code"]["coding"][0]["code"], each["status"])
        for each in hospital.all("Observation")
    ) == [("104637-4", "final"), ("106793-3", "final"), ("97507-8", "amended")]


def test_a_value_that_a_day_has_no_longer_is_taken_back() -> None:
    hospital = Hospital()
    day = a_day("sensor-glucose", mean=150.0, covered=500.0)
    with telling_to(hospital) as sender:
        first = told(sender, of(day))
        told(sender, of(replace(day, covered=None), rev=2, prior=first))

    assert {
        each["code"]["coding"][0]["code"]: each["status"]
        for each in hospital.all("Observation")
    } == {
        "97507-8": "amended",  # less is known of how much it rests on
        "106793-3": "entered-in-error",
        "104637-4": "entered-in-error",
    }


def test_a_destination_is_told_the_values_that_it_takes() -> None:
    hospital = Hospital()
    day = a_day("sensor-glucose", mean=150.0, covered=500.0)
    taken = [TakenDay("sensor-glucose", ("coverage",))]
    with telling_to(hospital, days=taken) as sender:
        told(sender, of(day))

    (only,) = hospital.all("Observation")
    assert only["code"]["coding"][0]["code"] == "104637-4"


def test_a_day_of_which_nothing_is_told_is_given_up_with_the_reason() -> None:
    with telling_to(Hospital()) as sender:
        reply = tell(sender, of(a_day("wrist-temperature", mean=34.0)))

    assert reply == Declined("Nothing of it is sent: see outputs.yaml and `days`.")


# Refusals


@pytest.mark.parametrize("status", ["408", "425", "429", "503"])
@pytest.mark.parametrize("update_create", MODES)
def test_what_a_busy_server_refuses_is_told_later_when_it_asks(
    update_create: bool, status: str
) -> None:
    hospital = Hospital(update_create, fault=lambda number, kind: status)
    with telling_to(hospital) as sender:
        reply = tell(sender, of(an_episode(device="")))

    assert isinstance(reply, Later)
    assert reply.retry_after == timedelta(seconds=2)
    assert status in reply.problem


@pytest.mark.parametrize("status", ["400", "403", "422"])
@pytest.mark.parametrize("update_create", MODES)
def test_what_a_server_refuses_for_good_is_given_up_in_its_words(
    update_create: bool, status: str
) -> None:
    hospital = Hospital(update_create, fault=lambda number, kind: status)
    with telling_to(hospital) as sender:
        reply = tell(sender, of(an_episode(device="")))

    assert isinstance(reply, Declined)
    assert f"refused with {status}, as it is told" in reply.problem
    assert "Patient" not in reply.problem


def test_a_server_that_takes_no_devices_is_told_the_name_of_one() -> None:
    hospital = Hospital(kinds=("Observation",))
    with telling_to(hospital) as sender:
        told(sender, of(an_episode()))

    (only,) = hospital.resources.values()
    assert only["device"] == {"display": "Watch"}


def test_a_server_that_forbids_devices_gets_the_observation_and_it_is_logged() -> None:
    logged: list[str] = []
    hospital = Hospital(
        fault=lambda number, kind: WELL if kind == "Observation" else "403"
    )
    with telling_to(
        hospital, log=lambda event, **facts: logged.append(facts["kind"])
    ) as sender:
        told(sender, of(an_episode()))
        told(sender, of(an_episode(), id="another"))

    assert len(hospital.standing()) == 2
    assert logged == ["Device", "Provenance"]


def test_a_server_that_does_not_say_what_it_can_is_asked_later() -> None:
    hospital = Hospital(statement=False)
    with telling_to(hospital) as sender:
        reply = tell(sender, of(an_episode()))
    with telling_to(hospital, write="put") as sender:
        told(sender, of(an_episode()))

    assert isinstance(reply, Later)
    assert "write: put" in reply.problem


def test_a_server_that_is_down_is_told_later() -> None:
    with telling_to(Hospital()) as sender:
        pass
    reply = tell(sender, of(an_episode()))

    assert isinstance(reply, Later)
    assert "connection failed" in reply.problem


def test_what_the_hospital_has_deleted_is_not_brought_back() -> None:
    hospital = Hospital()
    with telling_to(hospital) as sender:
        first = told(sender, of(an_episode()))
        (there,) = hospital.all("Observation")
        hospital.deleted.add(f"Observation/{there['id']}")
        reply = tell(sender, of(an_episode(value=140.0), rev=2, prior=first))

    assert isinstance(reply, Declined)
    assert "deleted" in reply.problem


def test_what_somebody_else_has_changed_meanwhile_is_amended_all_the_same() -> None:
    hospital = Hospital()
    with telling_to(hospital) as sender:
        first = told(sender, of(an_episode()))
        (there,) = hospital.all("Observation")
        hospital.keep("Observation", there["id"], there)
        told(sender, of(an_episode(value=140.0), rev=2, prior=first))

    assert hospital.by_status() == {"amended": 1}


# What may be there


def unanswered(
    update_create: bool, fault: str, seconds: float, finds_after: float = 0.0
) -> tuple[Reply, int, Hospital]:
    """What comes of a telling whose first write is not answered in so many seconds.

    And how many writes had arrived by then, and the hospital.
    """
    hospital = Hospital(
        update_create,
        fault=lambda number, kind: fault if number == 1 else WELL,
        finds_after=finds_after,
    )
    with telling_to(hospital, seconds=seconds) as sender:
        reply = tell(sender, of(an_episode(device="")))
        return reply, hospital.writes, hospital


@pytest.mark.parametrize("fault", [MUTE, DROPPED])
@pytest.mark.parametrize("update_create", MODES)
def test_what_was_committed_after_we_gave_up_is_there_once(
    update_create: bool, fault: str
) -> None:
    first, _, hospital = with_time_enough(
        lambda seconds: unanswered(update_create, fault, seconds),
        lambda told: told[1] == 1,
        SECONDS,
    )
    with telling_to(hospital) as sender:
        persist(sender, of(an_episode(device=""), uncertain=True))

    assert isinstance(first, Later if update_create else Uncertain)
    assert len(hospital.all("Observation")) == 1


def test_what_no_search_finds_yet_is_looked_for_before_it_is_created_again() -> None:
    first, _, hospital = with_time_enough(
        lambda seconds: unanswered(False, MUTE, seconds, finds_after=3600),
        lambda told: told[1] == 1,
        SECONDS,
    )
    telling = of(an_episode(device=""), uncertain=True)
    with telling_to(hospital) as sender:
        looked = tell(sender, replace(telling, settled=False))
        hospital.finds_after = 0
        told(sender, telling)

    assert isinstance(first, Uncertain)
    assert isinstance(looked, Uncertain)
    assert "looked for again" in looked.problem
    assert len(hospital.all("Observation")) == 1


def test_of_two_that_are_there_all_the_same_the_newer_one_is_an_error() -> None:
    hospital = Hospital(False)
    with telling_to(hospital) as sender:
        told(sender, of(an_episode()))
        (there,) = hospital.all("Observation")
        hospital.keep("Observation", "twin", {**there, "status": "final"})
        told(sender, of(an_episode()))

    assert [each["id"] for each in hospital.standing()] == [there["id"]]
    assert hospital.by_status()["entered-in-error"] == 1


@pytest.mark.parametrize("update_create", MODES)
def test_what_may_be_there_and_does_not_hold_is_looked_for_and_taken_back(
    update_create: bool,
) -> None:
    hospital = Hospital(update_create)
    with telling_to(hospital) as sender:
        told(sender, of(an_episode()))
        told(sender, of(None, uncertain=True))

    assert hospital.by_status() == {"entered-in-error": 1}


def test_a_token_that_is_refused_is_renewed_once() -> None:
    class Tokens:
        current, asked = "old", 0

        def token(self) -> str:
            return self.current

        def renew(self, refused: str) -> str:
            self.current, self.asked = "new", self.asked + 1
            return self.current

    hospital = Hospital(token="new")
    tokens = Tokens()
    with telling_to(hospital, tokens=tokens) as sender:
        told(sender, of(an_episode(device="")))
        assert tokens.asked == 1
        hospital.token = "neither"
        reply = tell(sender, of(an_episode(device=""), id="another"))

    assert len(hospital.standing()) == 1
    assert tokens.asked == 2
    assert isinstance(reply, Later)
    assert "the token is over" in reply.problem


# 200 episodes, of a server that misbehaves in every way


def misbehave(number: int, kind: str) -> str:
    """Refuse a third, and now and then commit and say nothing."""
    if number % 3 == 0:
        return ("503", "429", "422")[number // 3 % 3]
    if number % 205 == 1:
        return MUTE
    return DROPPED if number % 23 == 1 else WELL


@pytest.mark.parametrize("update_create", MODES)
def test_200_episodes_are_200_observations_whatever_the_server_does(
    update_create: bool,
) -> None:
    hospital = Hospital(update_create, fault=misbehave, finds_after=0.0)
    ids = [f"ep-{number}" for number in range(200)]
    with telling_to(hospital, seconds=SECONDS) as sender:
        firsts = {id: persist(sender, of(an_episode(id=id), id)) for id in ids}
        there = {each["id"] for each in hospital.standing()}
        assert len(there) == len(hospital.all("Observation")) == 200
        assert {each["status"] for each in hospital.standing()} == {"final"}

        for id in ids[:50]:
            changed = an_episode(id=id, value=150.0)
            persist(sender, of(changed, id, rev=2, prior=firsts[id]))
        for id in ids[50:80]:
            persist(sender, of(None, id, rev=2, prior=firsts[id]))

    assert hospital.by_status() == {
        "final": 120,
        "amended": 50,
        "entered-in-error": 30,
    }
    assert {each["id"] for each in hospital.all("Observation")} == there
    assert len(hospital.all("Device")) == 1


def test_no_address_names_a_patient_or_what_was_measured() -> None:
    hospital = Hospital(False)
    with telling_to(hospital) as sender:
        told(sender, of(an_episode()))

    asked = json.dumps(hospital.asked)
    assert "ep-7f3a" not in asked and "phones" not in asked
