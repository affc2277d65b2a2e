"""Who is shown a card again, over HTTP: by user, by encounter, by what one said."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

HOME = Path(__file__).parent.parent.parent
Server = Any
Chart = Any
OpenChart = Callable[[Server], Chart]
HELD_BACK = {"org.cds-service.held-back": {"count": 1, "reasons": {"repeated": 1}}}


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server]) -> Iterator[Server]:
    """Two workers that share one database, with the rules as they are shipped."""
    yield start_server(workers="2", rules=str(HOME / "rules"))


@pytest.fixture
def chart(server: Server, open_chart: OpenChart) -> Chart:
    """A patient whose watch has told of an irregular rhythm."""
    opened = open_chart(server)
    delivered = server.deliver(opened.case.alerts["alerts"], opened.case.name)
    assert delivered.status_code == 202
    return opened


def opened_by(server: Server, chart: Chart, **context: str | None) -> dict[str, Any]:
    """What a new opening of the chart is answered; None takes a field away."""
    request = chart.request(hookInstance=str(uuid4()))
    fields = {**request["context"], **context}
    request["context"] = {name: each for name, each in fields.items() if each}
    reply = server.call(request)
    assert reply.status == 200, reply.body
    answer: dict[str, Any] = reply.json
    return answer


def override(server: Server, card: dict[str, Any], code: str) -> None:
    (reason,) = [each for each in card["overrideReasons"] if each["code"] == code]
    told = {
        "card": card["uuid"],
        "outcome": "overridden",
        "outcomeTimestamp": datetime.now().astimezone().isoformat(),
        "overrideReason": {"reason": reason},
    }
    path = "/cds-services/wearable-review/feedback"
    body = json.dumps({"feedback": [told]}).encode()
    assert server.post(body, path).status == 200


def test_each_user_is_shown_the_card_once(server: Server, chart: Chart) -> None:
    for user in ("Practitioner/nurse", "Practitioner/physician"):
        first = opened_by(server, chart, userId=user)
        again = opened_by(server, chart, userId=user)

        assert [len(first["cards"]), "extension" in first] == [1, False]
        assert again == {"cards": [], "extension": HELD_BACK}


def test_without_a_user_a_card_is_not_held_back_across_encounters(
    server: Server, chart: Chart
) -> None:
    for encounter in ("e1", "e2"):
        seen = [
            opened_by(server, chart, userId=None, encounterId=encounter)
            for _ in range(2)
        ]
        assert [len(each["cards"]) for each in seen] == [1, 0]
    assert len(opened_by(server, chart, userId=None, encounterId=None)["cards"]) == 1
    assert len(opened_by(server, chart, userId=None, encounterId=None)["cards"]) == 1


def test_what_one_called_an_artifact_a_colleague_still_sees(
    server: Server, chart: Chart
) -> None:
    (card,) = opened_by(server, chart, userId="Practitioner/1")["cards"]
    codes = [each["code"] for each in card["overrideReasons"]]
    override(
        server, card, next(each for each in ("artifact", "not-wearer") if each in codes)
    )

    mine = opened_by(server, chart, userId="Practitioner/1")
    theirs = opened_by(server, chart, userId="Practitioner/2")

    told = {"count": 1, "reasons": {"snoozed": 1}}
    assert mine == {"cards": [], "extension": {"org.cds-service.held-back": told}}
    assert len(theirs["cards"]) == 1
