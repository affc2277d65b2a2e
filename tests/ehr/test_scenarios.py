"""What a simulated watch sends."""

from datetime import datetime, timedelta, timezone

import pytest

from cds_service.ehr.scenarios import SCENARIOS, ScenarioStep, play

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=timezone(timedelta(hours=-5)))


def steps(name: str, seed: int = 0, now: datetime = NOW) -> list[ScenarioStep]:
    return play(name, "smart-1", "simulator", now, seed)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_seed_and_moment_give_the_same_deliveries(name: str) -> None:
    assert steps(name) == steps(name)


def test_another_seed_gives_other_values() -> None:
    values = {str(steps("steady_tachy", seed)[0].alerts) for seed in range(20)}

    assert len(values) > 1


@pytest.mark.parametrize("name", sorted(set(SCENARIOS) - {"walking"}))
def test_another_moment_gives_other_ids(name: str) -> None:
    later = steps(name, now=NOW + timedelta(seconds=1))

    assert {each.delivery for each in steps(name)}.isdisjoint(
        each.delivery for each in later
    )
    assert steps(name)[0].alerts[0]["id"] != later[0].alerts[0]["id"]


def test_walking_sends_nothing() -> None:
    assert steps("walking") == []


def test_every_alert_has_the_offset_of_the_place() -> None:
    for name in SCENARIOS:
        for step in steps(name):
            for alert in step.alerts:
                assert alert["start"].endswith("-05:00")


def test_an_alert_that_stays_is_opened_and_then_closed() -> None:
    first, second = (step.alerts[0] for step in steps("steady_tachy"))

    assert first["id"] == second["id"]
    assert (first["status"], first["rev"], first["end"]) == ("open", 0, None)
    assert (second["status"], second["rev"]) == ("closed", 1)


def test_a_duplicate_is_the_same_delivery_with_the_same_body() -> None:
    first, second = steps("duplicate")

    assert (first.delivery, first.alerts) == (second.delivery, second.alerts)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_says_what_it_plays(name: str) -> None:
    assert (SCENARIOS[name].__doc__ or "").strip().endswith(".")
