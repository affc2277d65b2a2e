"""What was learned of servers is bounded, and forgotten in time."""

from cds_service.fhir.client.asking import REMEMBERED_SECONDS, Habits


def test_what_is_kept_is_known_of_that_server_and_type_alone():
    habits = Habits()

    habits.keep("https://a", "Condition", "form")

    assert habits.find("https://a", "Condition") == "form"
    assert habits.find("https://a", "Observation") is None
    assert habits.find("https://b", "Condition") is None


def test_it_is_forgotten_after_an_hour_or_when_told_to():
    time = [0.0]
    habits = Habits(clock=lambda: time[0])
    habits.keep("a", "x", 1)
    habits.keep("a", "y", 2)

    habits.keep("a", "y", None)
    time[0] = REMEMBERED_SECONDS - 1

    assert (habits.find("a", "x"), habits.find("a", "y")) == (1, None)
    time[0] += 2
    assert habits.find("a", "x") is None


def test_the_oldest_makes_room():
    habits = Habits(size=2)
    for name in ("a", "b", "a", "c"):
        habits.keep(name, "", name)

    assert [habits.find(each, "") for each in ("a", "b", "c")] == ["a", None, "c"]
