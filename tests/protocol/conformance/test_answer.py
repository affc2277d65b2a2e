import json
from typing import Any

import pytest

from cds_service.protocol.cards import Card, CardSource, Indicator, build_response
from cds_service.protocol.conformance import (
    AskedCall,
    Obligation,
    Reply,
    judge_answer,
    judge_preflight,
)
from cds_service.protocol.errors import UnknownService

HEADERS = {"content-type": "application/json", "cache-control": "no-store"}
UUID = "26214666-7ffb-5ff2-a946-7481f7bb2d25"
OTHER = "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"
CODING = {"code": "c", "system": "https://example.org/s", "display": "Done"}
CARD: dict[str, Any] = {
    "uuid": UUID,
    "summary": "Short",
    "indicator": "info",
    "source": {"label": "Rules"},
}
TASK = {"resourceType": "Task", "id": "1"}
TOKEN = "token-of-the-fhir-server"


def judged(
    body: Any, status: int = 200, asked: AskedCall = AskedCall(), **headers: str
) -> list[tuple[str, str]]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): each for name, each in headers.items()}
    reply = Reply(status, {**HEADERS, **named}, content)
    return [(each.id, each.level.value) for each in judge_answer(reply, asked)]


def card(**changes: Any) -> dict[str, Any]:
    held = {**CARD, **changes}
    return {"cards": [{k: v for k, v in held.items() if v is not ...}]}


def link(**changes: Any) -> dict[str, Any]:
    plain = {"label": "L", "url": "https://example.org/a", "type": "absolute"}
    held = {**plain, **changes}
    return card(links=[{k: v for k, v in held.items() if v is not ...}])


def suggestion(*actions: Any, **changes: Any) -> dict[str, Any]:
    held: dict[str, Any] = {"label": "Do it", "uuid": OTHER, **changes}
    if actions:
        held["actions"] = list(actions)
    listed = [{k: v for k, v in held.items() if v is not ...}]
    return card(suggestions=listed, selectionBehavior="at-most-one")


def action(type: str, **members: Any) -> dict[str, Any]:
    return suggestion({"type": type, "description": "D", **members})


def test_a_good_answer_has_nothing_to_say() -> None:
    assert judged({"cards": []}) == []
    assert judged(card()) == []
    assert judged(action("create", resource={"resourceType": "Task"})) == []
    assert judged(action("delete", resourceId="Task/1")) == []
    assert judged(link(type="smart", appContext="{}")) == []
    assert judged(card(overrideReasons=[CODING])) == []


def test_what_we_send_is_good() -> None:
    ours = Card(UUID, "Short", Indicator.INFO, CardSource("Rules"))

    assert judged(build_response([ours])) == []
    assert judged(UnknownService("No such service.").as_json(), 404) == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"<html>", ("J-1", "must")),
        (b"", ("J-1", "must")),
        (b'{"cards": [],}', ("J-1", "must")),
        (b'{"cards": [], "cards": []}', ("J-3", "should")),
        (b'\xef\xbb\xbf{"cards": []}', ("J-10", "should")),
        (b'{"cards": ["\xff"]}', ("J-10", "must")),
        (b"[" * 5000 + b"]" * 5000, ("J-1", "must")),
        (b"[" * 300 + b"]" * 300, ("J-11", "must")),
        ([], ("R-1", "must")),
        ({"cards": {"a": 1}}, ("R-1", "must")),
        ({"cards": ["a"]}, ("R-1", "must")),
        ({"extension": {"org.example.a": 1}}, ("R-2", "must")),
        ({"cards": [], "a": 1}, ("R-6", "note")),
        (card(detail=None), ("J-4", "must")),
        (card(detail=""), ("J-5", "must")),
        (card(links=[]), ("J-5", "must")),
        (card(uuid=...), ("C-1", "note")),
        (card(uuid="x"), ("C-1", "note")),
        (card(uuid=1), ("C-1", "must")),
        ({"cards": [CARD, CARD]}, ("C-1", "must")),
        (card(summary=...), ("C-2", "must")),
        (card(summary="x" * 140), ("C-2", "must")),
        (card(summary="a\nb"), ("C-2", "should")),
        (card(detail=1), ("C-3", "must")),
        (card(detail="a <b>c</b>"), ("C-3", "note")),
        (card(indicator="hard-stop"), ("C-4", "must")),
        (card(indicator=...), ("C-4", "must")),
        (card(indicator=["info"]), ("C-4", "must")),
        (card(source=...), ("C-5", "must")),
        (card(source="Rules"), ("C-5", "must")),
        (card(source={"label": " "}), ("J-7", "must")),
        (card(source={"label": "R", "url": "/r"}), ("C-6", "must")),
        (card(source={"label": "R", "url": "http://r.org"}), ("C-6", "note")),
        (card(source={"label": "R", "icon": "data:x,y"}), ("C-7", "note")),
        (card(source={"label": "R", "topic": {"code": "c"}}), ("C-8", "must")),
        (card(suggestions=[{"label": "a", "uuid": UUID}]), ("C-9", "must")),
        (card(suggestions=3), ("C-9", "must")),
        (card(suggestions=[3]), ("C-12", "must")),
        (suggestion(3), ("C-17", "must")),
        (suggestion(actions={"a": 1}), ("C-14", "must")),
        (card(overrideReasons="x"), ("C-23", "must")),
        (card(links="x"), ("C-25", "must")),
        (card(links=[3]), ("C-25", "must")),
        (card(source=None), ("J-4", "must")),
        ({"cards": None}, ("J-4", "must")),
        (link(url="https://a.org/a b"), ("C-25", "must")),
        (link(url="https://[a.org/"), ("C-25", "must")),
        (card(selectionBehavior="any"), ("C-10", "note")),
        (suggestion(label=...), ("C-12", "must")),
        (suggestion(uuid=...), ("C-13", "note")),
        (suggestion(isRecommended="yes"), ("C-11", "must")),
        (suggestion(actionSelectionBehavior="any"), ("C-16", "must")),
        (action("CREATE", resource=TASK), ("C-17", "must")),
        (suggestion({"type": "delete", "resourceId": "Task/1"}), ("C-18", "must")),
        (action("create"), ("C-19", "must")),
        (action("update"), ("C-20", "must")),
        (action("update", resource={"resourceType": "Task"}), ("C-20", "should")),
        (action("create", resource='{"resourceType": "Task"}'), ("J-2", "must")),
        (action("create", resource={"id": "1"}), ("J-2", "must")),
        (action("delete"), ("C-21", "should")),
        (action("delete", resourceId="1"), ("C-21", "should")),
        (action("delete", resourceId="Task/1", resource=TASK), ("C-21", "should")),
        (action("delete", resource="Task/1"), ("C-22", "should")),
        (card(overrideReasons=["too-costly"]), ("C-23", "must")),
        (
            card(overrideReasons=[{"code": "c", "system": "urn:s"}]),
            ("C-23", "must"),
        ),
        (link(url=...), ("C-25", "must")),
        (link(url="javascript:alert(1)"), ("C-25", "must")),
        (link(type="popup"), ("C-25", "must")),
        (link(appContext="{}"), ("C-26", "must")),
        (link(type="smart", appContext={"a": 1}), ("C-26", "must")),
        (link(type="smart", url="https://a.org/?launch=1"), ("C-27", "note")),
        (link(autolaunchable="yes"), ("C-28", "must")),
        (link(url="https://a.org/?p=pat-1"), ("C-29", "note")),
        (link(url=f"https://a.org/?t={TOKEN}"), ("C-29", "should")),
        (card(extension=[1]), ("X-2", "must")),
        (card(extension={"short": 1}), ("X-3", "should")),
        ({"cards": [], "systemActions": {}}, ("J-5", "must")),
    ],
)
def test_what_breaks_a_rule_is_named_by_its_id(
    body: Any, found: tuple[str, str]
) -> None:
    told = judged(body, asked=AskedCall("pat-1", TOKEN, system_actions=True))

    assert found in told
    assert [each for each in told if each[0] not in (found[0], "R-3")] == []


def test_a_summary_is_measured_in_characters_not_in_bytes() -> None:
    assert judged(card(summary="🫀" * 139)) == []


def test_code_in_a_detail_is_no_html() -> None:
    assert judged(card(detail="`<b>` and 3 < 4 > 2")) == []


def test_what_a_resource_holds_is_not_the_envelope_s() -> None:
    resource = {"resourceType": "Task", "note": [], "code": None}

    assert judged(action("create", resource=resource)) == []


def test_two_of_one_choice_cannot_both_be_recommended() -> None:
    twice = [
        {"label": "a", "uuid": UUID, "isRecommended": True},
        {"label": "b", "uuid": OTHER, "isRecommended": True},
    ]

    assert judged(card(suggestions=twice, selectionBehavior="at-most-one")) == [
        ("C-11", "must")
    ]
    assert judged(card(suggestions=twice, selectionBehavior="any")) == []


def test_two_actions_on_one_resource_are_said() -> None:
    one = {"type": "update", "description": "D", "resource": TASK}
    other = {"type": "delete", "description": "D", "resourceId": "Task/1"}

    assert judged(suggestion(one, other)) == [("C-15", "should")]


def test_system_actions_need_an_agreement() -> None:
    body = {"cards": [], "systemActions": [{"type": "create", "resource": TASK}]}

    assert judged(body) == [("R-5", "should")]
    assert judged(body, asked=AskedCall(system_actions=True)) == []


def test_a_service_of_1_0_deletes_as_1_0_says() -> None:
    body = action("delete", resource="Task/1")

    assert judged(body, asked=AskedCall(version="1.0")) == [("C-22", "note")]
    assert judged(body, asked=AskedCall(version="2.0.1")) == [("C-22", "should")]


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (202, {"cards": []}, [("R-1", "must")]),
        (302, b"", [("R-1", "must")]),
        (500, b"<html>", [("E-2", "should")]),
        (500, {"error": "x"}, [("E-2", "should")]),
        (412, {"resourceType": "OperationOutcome"}, [("E-3", "should")]),
        (
            400,
            {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]},
            [("E-3", "should")],
        ),
        (
            500,
            b"Traceback (most recent call last):\n  File",
            [("E-2", "should"), ("E-7", "should")],
        ),
        (500, b"x\n  at Foo.bar (a.js:12:3)", [("E-2", "should"), ("E-7", "should")]),
        (401, b"", [("E-2", "should"), ("E-6", "note")]),
        (503, b"", [("E-2", "should"), ("E-5", "note")]),
    ],
)
def test_an_answer_other_than_200_is_judged_as_such(
    status: int, body: Any, found: list[Any]
) -> None:
    assert judged(body, status) == found


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://cds.example.org/cds-services/a", [("S-1", "note")]),
        ("https://cds.example.org/cds-services/a", []),
        ("http://127.0.0.1:8080/cds-services/a", []),
    ],
)
def test_a_service_without_tls_is_noted(url: str, found: list[Any]) -> None:
    assert judged({"cards": []}, asked=AskedCall(url=url)) == found


def test_what_may_be_kept_or_came_late_is_noted() -> None:
    reply = Reply(200, {"content-type": "application/json"}, b'{"cards": []}', 0.6, 0.7)

    found = judge_answer(reply, AskedCall())

    assert [each.id for each in found] == ["Q-16", "R-11"]
    assert {each.level for each in found} == {Obligation.NOTE}


ORIGIN = "https://chart.example.org"


@pytest.mark.parametrize(
    ("status", "headers", "found"),
    [
        (200, {}, [("S-22", "should")]),
        (200, {"access_control_allow_origin": ORIGIN}, []),
        (200, {"access_control_allow_origin": "*"}, []),
        (200, {"access_control_allow_origin": "https://b.org"}, [("S-22", "should")]),
        (
            200,
            {
                "access_control_allow_origin": "*",
                "access_control_allow_credentials": "true",
            },
            [("S-22", "should")],
        ),
    ],
)
def test_a_page_can_read_the_answer_or_it_is_said(
    status: int, headers: dict[str, str], found: list[Any]
) -> None:
    assert judged({"cards": []}, status, AskedCall(origin=ORIGIN), **headers) == found


def test_an_error_that_a_page_cannot_read_is_said() -> None:
    outcome = UnknownService("No.").as_json()

    assert judged(outcome, 404, AskedCall(origin=ORIGIN)) == [("E-8", "should")]


def test_a_preflight_allows_what_a_call_needs() -> None:
    allowed = {
        "access-control-allow-origin": ORIGIN,
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": "Authorization, Content-Type",
    }

    assert judge_preflight(Reply(204, allowed, b""), ORIGIN) == []
    paths = [each.path for each in judge_preflight(Reply(405, {}, b""), ORIGIN)]
    assert paths == [
        "OPTIONS",
        "OPTIONS Access-Control-Allow-Origin",
        "OPTIONS Access-Control-Allow-Methods",
        "OPTIONS Access-Control-Allow-Headers",
    ]
