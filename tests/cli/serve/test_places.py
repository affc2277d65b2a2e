"""Who is let in, who has to go for others, who is waited for no longer."""

import pytest

from cds_service.cli.serve.places import MOST_PARTING, Bounds, Places, Stage

BOUNDS = Bounds(connections=4, per_address=2, held=100, arrival=20, keep_alive=75)


def fill(*guests: tuple[str, str | None, Stage]) -> Places[str]:
    """Guests who came one a second, each from an address and at a stage."""
    places = Places[str](BOUNDS)
    for now, (name, address, stage) in enumerate(guests):
        places.enter(name, address, stage, now)
    return places


def test_there_is_room_until_all_places_are_taken() -> None:
    places = fill(*[(f"guest {each}", f"home {each}", Stage.KEPT) for each in range(3)])

    assert places.has_room("another home")
    places.enter("guest 3", "home 3", Stage.INSIDE, 3)
    assert not places.has_room("another home")
    places.leave("guest 1")
    assert places.has_room("another home")
    assert len(places) == 3


@pytest.mark.parametrize(
    ("order", "first"),
    [
        ([Stage.INSIDE, Stage.KEPT, Stage.SILENT, Stage.SILENT], "guest 2"),
        ([Stage.INSIDE, Stage.ARRIVING, Stage.GREETING, Stage.KEPT], "guest 2"),
        ([Stage.ARRIVING, Stage.KEPT, Stage.KEPT, Stage.INSIDE], "guest 1"),
        ([Stage.ARRIVING, Stage.PARTING, Stage.INSIDE, Stage.INSIDE], "guest 1"),
        ([Stage.ARRIVING, Stage.ARRIVING, Stage.ANSWERING], "guest 0"),
        ([Stage.INSIDE, Stage.ANSWERING], None),
    ],
)
def test_who_said_nothing_for_longest_goes_first_and_who_is_answered_never(
    order: list[Stage], first: str | None
) -> None:
    places = fill(*[(f"guest {at}", None, stage) for at, stage in enumerate(order)])

    assert places.find_leaver(None) == first


def test_an_address_with_its_share_makes_room_from_its_own() -> None:
    places = fill(
        ("stranger", "elsewhere", Stage.SILENT),
        ("first", "here", Stage.KEPT),
        ("second", "here", Stage.SILENT),
    )

    assert places.has_room("elsewhere")
    assert not places.has_room("here")
    assert places.find_leaver("here") == "second"
    places.leave("second")
    assert places.has_room("here")


def test_an_address_whose_share_is_at_work_is_let_in_no_more() -> None:
    places = fill(
        ("stranger", "elsewhere", Stage.SILENT),
        ("first", "here", Stage.INSIDE),
        ("second", "here", Stage.INSIDE),
    )

    assert not places.has_room("here")
    assert places.find_leaver("here") is None


def test_connections_of_a_proxy_are_not_counted_and_its_requests_are() -> None:
    places = fill(*[(f"link {each}", None, Stage.ARRIVING) for each in range(3)])

    assert places.claim("link 0", "ward")
    assert places.claim("link 1", "ward")
    assert not places.claim("link 2", "ward")
    places.release("link 2")
    places.release("link 0")
    assert places.claim("link 2", "ward")
    assert places.has_room(None)


def test_a_request_is_counted_once_however_often_it_is_looked_at() -> None:
    places = fill(("link", None, Stage.ARRIVING), ("other", None, Stage.ARRIVING))

    assert [places.claim("link", "ward") for _ in range(3)] == [True] * 3
    assert places.claim("other", "ward")


def test_who_leaves_frees_all_that_was_counted() -> None:
    places = fill(("first", "here", Stage.KEPT), ("second", "here", Stage.ARRIVING))
    places.claim("second", "here")
    places.hold("second", 70)

    places.leave("second")
    places.leave("second")

    assert places.held == 0
    assert places.stage("second") is None
    assert places.has_room("here")


def test_each_stage_has_its_time() -> None:
    places = fill(("silent", None, Stage.SILENT), ("kept", None, Stage.KEPT))
    places.enter("working", None, Stage.INSIDE, 1)

    assert places.overdue(19.9) == []
    assert places.overdue(20) == ["silent"]
    assert places.overdue(76) == ["silent", "kept"]
    places.move("silent", Stage.PARTING, 76)
    places.leave("kept")
    assert places.overdue(77.9) == []
    assert places.overdue(78) == ["silent"]
    assert places.overdue(10**9) == ["silent"]


def test_where_too_much_is_held_the_slowest_request_goes() -> None:
    places = fill(
        ("working", None, Stage.INSIDE),
        ("slow", None, Stage.ARRIVING),
        ("quick", None, Stage.ARRIVING),
    )
    for name, size in {"working": 50, "slow": 40, "quick": 10}.items():
        places.hold(name, size)

    assert places.find_slowest() is None
    places.hold("quick", 11)
    assert places.find_slowest() == "slow"
    places.hold("slow", 0)
    assert places.find_slowest() is None


def test_only_so_many_are_waited_for_after_their_last_answer() -> None:
    places = Places[int](Bounds(10_000, 10_000, 100, 20, 75))
    for each in range(MOST_PARTING):
        places.enter(each, None, Stage.PARTING, each)

    assert places.find_excess() is None
    places.enter(MOST_PARTING, None, Stage.PARTING, MOST_PARTING)
    assert places.find_excess() == 0
