"""A token is spent with what is done for it: together, or not at all."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from cds_service.decision import World

Caller = Any
Body = dict[str, Any]
SERVICE = "/cds-services/wearable-review"
FEEDBACK = f"{SERVICE}/feedback"
CARD = "8ddc41d1-6422-428c-881f-15c8b0ee0a48"
HEARD = {
    "feedback": [
        {
            "card": CARD,
            "outcome": "overridden",
            "outcomeTimestamp": "2026-11-22T13:00:00Z",
        }
    ]
}
USED = "the token was used before"


@pytest.fixture
def caller(
    url: str, build: Callable[..., World], connect: Callable[[World], Caller]
) -> Caller:
    """An EHR before a server on either database."""
    return connect(build(database_url=url))


def bearer(caller: Caller, path: str = SERVICE) -> dict[str, str]:
    return {"Authorization": f"Bearer {caller.token(path)}"}


@contextmanager
def without(url: str, table: str) -> Iterator[None]:
    """While the database lacks a table."""
    rename(url, table, "elsewhere")
    yield
    rename(url, "elsewhere", table)


def rename(url: str, table: str, name: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO {name}"))
    engine.dispose()


def test_s_15_a_call_that_is_answered_spends_its_token(
    caller: Caller, request_body: Body
) -> None:
    headers = bearer(caller)

    assert caller.call(request_body, headers=headers).status_code == 200
    assert caller.call(request_body, headers=headers).status_code == 401
    assert [each["kind"] for each in caller.audited()] == ["call", "refusal"]


def test_a_call_that_could_not_be_recorded_may_come_again_with_its_token(
    caller: Caller, url: str, request_body: Body
) -> None:
    headers = bearer(caller)
    with without(url, "calls"):
        assert caller.call(request_body, headers=headers).status_code == 503

    assert caller.call(request_body, headers=headers).status_code == 200
    assert caller.call(request_body, headers=headers).status_code == 401


def test_feedback_that_could_not_be_recorded_may_come_again_with_its_token(
    caller: Caller, url: str
) -> None:
    headers = bearer(caller, FEEDBACK)
    with without(url, "feedback"):
        assert caller.send(FEEDBACK, HEARD, headers=headers).status_code == 503

    assert caller.send(FEEDBACK, HEARD, headers=headers).status_code == 200
    assert caller.send(FEEDBACK, HEARD, headers=headers).status_code == 401


def test_who_did_too_much_may_come_again_with_the_same_token(
    url: str,
    build: Callable[..., World],
    connect: Callable[[World], Caller],
    request_body: Body,
) -> None:
    busy = connect(build(database_url=url, rate_limit="1"))
    quiet = connect(build(database_url=url))
    busy.call(request_body)
    headers = bearer(busy)
    refused = [busy.call(request_body, headers=headers).status_code for _ in range(3)]

    assert refused == [429, 429, 429]
    assert quiet.call(request_body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("path", "change", "status"),
    [
        (SERVICE, {"hookInstance": 7}, 400),
        (SERVICE, {"prefetch": {}}, 412),
        ("/cds-services/another", {}, 404),
        (FEEDBACK, {}, 400),
    ],
)
def test_s_15_what_is_refused_for_what_it_says_spends_its_token(
    caller: Caller, request_body: Body, path: str, change: Body, status: int
) -> None:
    headers, body = bearer(caller, path), {**request_body, **change}

    assert caller.send(path, body, headers=headers).status_code == status
    assert caller.send(path, body, headers=headers).status_code == 401
    assert [each["reason"] == USED for each in caller.audited()] == [False, True]


def test_s_15_of_calls_at_once_with_one_token_one_is_answered_and_recorded(
    caller: Caller, request_body: Body
) -> None:
    headers, gate = bearer(caller), threading.Barrier(12)
    statuses: list[int] = []

    def call() -> None:
        gate.wait()
        answer = caller.http.application.test_client().post(
            SERVICE, json=request_body, headers=headers
        )
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=call) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [200] + [401] * 11
    kinds = [each["kind"] for each in caller.audited()]
    assert kinds.count("call") == 1


def test_who_comes_second_with_a_token_is_told_as_little_as_a_stranger(
    caller: Caller, request_body: Body
) -> None:
    headers = bearer(caller)
    caller.call(request_body, headers=headers)

    again = caller.call(request_body, headers=headers)

    assert again.headers["WWW-Authenticate"] == "Bearer"
    assert "Server-Timing" not in again.headers
    *_, row = caller.audited()
    assert (row["kind"], row["client"], row["patient"]) == ("refusal", "", "")
