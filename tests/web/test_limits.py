"""Who did too much is stopped, and nobody else."""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from cds_service.protocol.errors import Throttled
from cds_service.web.layers import surround
from cds_service.web.limits import (
    OVERLOADED,
    Allowance,
    CallerLimits,
    Deadline,
    admit,
    is_plain,
    limit_requests,
)

Build = Callable[..., Any]
Connect = Callable[[Any], Any]
SERVICE = "/cds-services/wearable-review"


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_allowance_is_there_at_once_and_earned_again_one_by_one() -> None:
    clock = Clock()
    allowance = Allowance(60, clock)

    assert [allowance.take("a") for _ in range(60)] == [0.0] * 60
    assert 0 < allowance.take("a") <= 1
    clock.now += 1
    assert allowance.take("a") == 0
    assert allowance.take("a") > 0
    clock.now += 3600
    assert [allowance.take("a") for _ in range(60)] == [0.0] * 60
    assert allowance.take("a") > 0


def test_whoever_waits_as_long_as_told_may_again() -> None:
    clock = Clock()
    allowance = Allowance(7, clock)
    for _ in range(100):
        seconds = allowance.take("a")
        if seconds:
            clock.now += seconds
            assert allowance.take("a") == 0


def test_who_still_owes_is_not_forgotten_when_the_memory_is_full() -> None:
    clock = Clock()
    allowance = Allowance(1, clock, most=4)
    for key in "abc":
        allowance.take(key)
    clock.now += 60
    assert allowance.take("debtor") == 0

    assert allowance.take("new") == 0

    assert allowance.wait("debtor") > 0
    assert [allowance.wait(key) for key in "abc"] == [0.0] * 3


def test_a_memory_full_of_who_owes_begins_anew() -> None:
    allowance = Allowance(1, Clock(), most=4)
    for key in "abcd":
        allowance.take(key)

    assert allowance.take("e") == 0

    # Rather too much for four than a memory without a bound.
    assert [allowance.wait(key) for key in "abcd"] == [0.0] * 4
    assert allowance.wait("e") > 0


def test_to_ask_takes_nothing() -> None:
    allowance = Allowance(1, Clock())

    assert [allowance.wait("a") for _ in range(5)] == [0.0] * 5
    assert allowance.take("a") == 0
    assert allowance.wait("a") == allowance.take("a") > 0


def test_one_caller_takes_nothing_from_another() -> None:
    allowance = Allowance(1, Clock())
    allowance.take("a")

    assert allowance.take("a") > 0
    assert allowance.take("b") == 0


def test_no_limit_is_no_limit_and_remembers_nobody() -> None:
    allowance = Allowance(0, Clock())

    assert not any(allowance.take("a") for _ in range(10_000))


def test_callers_beyond_counting_do_not_fill_the_memory() -> None:
    allowance = Allowance(10, Clock(), most=100)
    for number in range(10_000):
        allowance.take(number)

    assert len(allowance._full_at) <= 100


def test_threads_share_one_allowance() -> None:
    allowance, taken = Allowance(1000, Clock()), []

    def take() -> None:
        for _ in range(500):
            if not allowance.take("a"):
                taken.append(1)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(taken) == 1000


def test_the_first_refusal_in_a_minute_is_told_from_the_rest(build: Build) -> None:
    clock = Clock()
    limits = CallerLimits(build(rate_limit="1").config, clock)
    limits.admit("client", "a")

    again = []
    for _ in range(3):
        with pytest.raises(Throttled) as refused:
            limits.admit("client", "a")
        again.append(refused.value.again)
        assert refused.value.retry_after == 60

    assert again == [False, True, True]


def test_two_kinds_of_callers_of_one_name_do_not_share_an_allowance(
    build: Build,
) -> None:
    limits = CallerLimits(build(rate_limit="1").config, Clock())
    limits.admit("client", "a")

    limits.admit("source", "a")

    with pytest.raises(Throttled):
        limits.admit("client", "a")


def test_a_client_and_a_source_of_one_name_do_not_share_an_allowance_in_an_app(
    build: Build,
) -> None:
    app = Flask("limited")
    surround(app, [limit_requests(app, build(rate_limit="1").config)])

    with app.app_context():
        admit("client", "a")
        admit("source", "a")
        with pytest.raises(Throttled):
            admit("source", "a")


def test_the_first_refusal_of_each_caller_is_told(build: Build) -> None:
    limits = CallerLimits(build(rate_limit="1", refusal_limit="1").config, Clock())
    told = []
    for address in ("203.0.113.9", "203.0.113.10"):
        limits.count_refusal(address)
        with pytest.raises(Throttled) as refused:
            limits.admit_address(address)
        told.append(refused.value.again)
    for name in ("a", "b"):
        limits.admit("client", name)
        with pytest.raises(Throttled) as refused:
            limits.admit("client", name)
        told.append(refused.value.again)

    assert told == [False] * 4


def test_a_refusal_is_told_again_after_a_minute(build: Build) -> None:
    clock = Clock()
    limits = CallerLimits(build(refusal_limit="1").config, clock)
    again = []
    for seconds in (0, 59.5, 0.6):
        clock.now += seconds
        limits.count_refusal("203.0.113.9")
        with pytest.raises(Throttled) as refused:
            limits.admit_address("203.0.113.9")
        again.append(refused.value.again)

    assert again == [False, True, False]


def test_an_address_that_was_refused_may_again_after_a_minute(build: Build) -> None:
    clock = Clock()
    limits = CallerLimits(build(refusal_limit="1").config, clock)
    limits.count_refusal("203.0.113.9")
    with pytest.raises(Throttled):
        limits.admit_address("203.0.113.9")

    clock.now += 60

    limits.admit_address("203.0.113.9")


@pytest.mark.parametrize(
    ("environ", "plain"),
    [
        ({"RAW_URI": "/metrics"}, True),
        ({"RAW_URI": "/%6detrics"}, False),
        ({"RAW_URI": "//metrics"}, False),
        ({"RAW_URI": "/metrics?a=%2e//"}, True),
        ({"RAW_URI": "/metrics?a=%2e?b"}, True),
        ({"RAW_URI": "/%6detrics?a=b?c"}, False),
        ({"RAW_URI": "http://cds.example.org/metrics"}, True),
        ({"RAW_URI": "HTTPS://cds.example.org/%6detrics"}, False),
        ({"RAW_URI": "https://cds.example.org//metrics"}, False),
        ({"RAW_URI": "/", "REQUEST_URI": "/%6detrics"}, True),
        ({"RAW_URI": "/%6detrics", "REQUEST_URI": "/"}, False),
        ({"RAW_URI": "", "REQUEST_URI": "/%6detrics"}, False),
        ({"REQUEST_URI": "/metrics"}, True),
        ({"REQUEST_URI": "/%6detrics"}, False),
        ({}, True),
    ],
)
def test_a_path_is_looked_at_as_it_stands_in_the_request(
    environ: dict[str, str], plain: bool
) -> None:
    assert is_plain(environ) is plain


def test_a_caller_is_told_whole_seconds_after_which_it_may_again(build: Build) -> None:
    clock = Clock()
    limits = CallerLimits(build(rate_limit="7").config, clock)
    for _ in range(7):
        limits.admit("client", "a")

    with pytest.raises(Throttled) as refused:
        limits.admit("client", "a")

    assert refused.value.retry_after == 9  # one in 8.57 seconds
    clock.now += 9
    limits.admit("client", "a")


def test_half_a_memory_of_who_owes_is_kept() -> None:
    clock = Clock()
    allowance = Allowance(1, clock, most=4)
    for key in "ab":
        allowance.take(key)
    clock.now += 60
    for key in "cd":
        allowance.take(key)

    allowance.take("e")

    assert [allowance.wait(key) > 0 for key in "abcd"] == [False, False, True, True]


def test_a_deadline_is_that_of_the_chart_and_of_the_answer(build: Build) -> None:
    clock = Clock()
    config = build(gather_deadline_ms="2000", answer_deadline_ms="500").config
    deadline = Deadline.of(config, clock)

    clock.now += 2.5
    assert not deadline.is_over()
    clock.now += 0.1
    assert deadline.is_over()


def refused(answer: Any, status: int, code: str) -> None:
    assert answer.status_code == status
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json["resourceType"] == "OperationOutcome"
    assert answer.json["issue"][0]["code"] == code


def test_s_26_a_client_that_calls_too_often_is_429_and_others_are_answered(
    build: Build, connect: Connect, request_body: Any
) -> None:
    ehr = connect(build(rate_limit="2"))

    answers = [ehr.call(request_body) for _ in range(4)]

    assert [each.status_code for each in answers] == [200, 200, 429, 429]
    refused(answers[-1], 429, "throttled")
    ehr.profile = "strict"
    assert ehr.call(request_body).status_code == 200


def test_feedback_counts_as_a_call(build: Build, connect: Connect) -> None:
    ehr = connect(build(rate_limit="1"))

    ehr.feedback()

    refused(ehr.feedback(), 429, "throttled")


def test_of_a_flood_one_refusal_is_a_row_of_the_audit_trail(
    build: Build, connect: Connect, request_body: Any
) -> None:
    ehr = connect(build(rate_limit="1"))
    for _ in range(5):
        ehr.call(request_body)

    rows = [(each["kind"], each.get("status")) for each in ehr.audited()]

    assert rows == [("call", None), ("refusal", 429)]


def test_without_a_limit_nobody_is_stopped(
    build: Build, connect: Connect, request_body: Any
) -> None:
    ehr = connect(build(rate_limit="0", refusal_limit="0"))

    for _ in range(5):
        assert ehr.call(request_body).status_code == 200
        assert ehr.call(request_body, signed=False).status_code == 401


def from_(address: str, proxy: str = "127.0.0.1") -> dict[str, Any]:
    headers = {"X-Forwarded-For": address}
    return {"environ_base": {"REMOTE_ADDR": proxy}, "headers": headers}


def unsigned(ehr: Any, address: str, path: str = SERVICE) -> int:
    status: int = ehr.http.post(path, json={}, **from_(address)).status_code
    return status


def test_s_26_an_address_of_strangers_is_429_before_anything_is_looked_at(
    build: Build, connect: Connect, request_body: Any
) -> None:
    ehr = connect(build(refusal_limit="2", trusted_proxies="127.0.0.1"))

    found = [unsigned(ehr, "203.0.113.9") for _ in range(4)]

    assert found == [401, 401, 429, 429]
    assert unsigned(ehr, "203.0.113.9", "/wearables/v1/alerts") == 429
    assert unsigned(ehr, "203.0.113.10") == 401
    assert ehr.call(request_body).status_code == 200


def test_good_calls_from_one_address_are_never_counted_against_it(
    build: Build, connect: Connect, request_body: Any
) -> None:
    ehr = connect(build(refusal_limit="1"))

    for _ in range(4):
        assert ehr.call(request_body).status_code == 200


def test_an_address_that_is_made_up_escapes_no_limit(
    build: Build, connect: Connect
) -> None:
    ehr = connect(build(refusal_limit="2", trusted_proxies="10.0.0.1"))

    found = [unsigned(ehr, f"203.0.113.{number}") for number in range(4)]

    assert found == [401, 401, 429, 429]


def test_discovery_without_a_token_is_counted_by_address(
    build: Build, connect: Connect
) -> None:
    ehr = connect(build(rate_limit="2"))

    found = [ehr.http.get("/cds-services").status_code for _ in range(3)]

    assert found == [200, 200, 429]
    assert ehr.http.get("/health/live").status_code == 200


def test_each_address_has_an_allowance_and_what_a_browser_asks_first_costs_nothing(
    build: Build, connect: Connect
) -> None:
    ehr = connect(build(rate_limit="1", trusted_proxies="127.0.0.1"))

    def ask(method: str, address: str) -> int:
        path, more = "/cds-services", from_(address)
        status: int = ehr.http.open(path, method=method, **more).status_code
        return status

    assert [ask("OPTIONS", "203.0.113.9") for _ in range(3)] == [200, 200, 200]
    assert [ask("GET", "203.0.113.9") for _ in range(2)] == [200, 429]
    assert ask("GET", "203.0.113.10") == 200


def test_where_no_thread_is_free_calls_are_503_and_the_server_lives(
    ehr: Any, request_body: Any
) -> None:
    busy = {OVERLOADED: True}

    answer = ehr.http.post(SERVICE, json=request_body, environ_base=busy)

    refused(answer, 503, "transient")
    (issue,) = answer.json["issue"]
    assert issue["details"] == {"text": "The server is busy. Try again."}
    refused(ehr.http.get("/cds-services", environ_base=busy), 503, "transient")
    assert ehr.http.options("/cds-services", environ_base=busy).status_code == 200
    assert ehr.http.get("/health/ready", environ_base=busy).status_code == 200


def test_no_header_claims_that_no_thread_is_free(ehr: Any, request_body: Any) -> None:
    for name in ("cds-service.overloaded", "cds_service.overloaded"):
        assert ehr.call(request_body, headers={name: "1"}).status_code == 200


def test_e_9_a_call_that_takes_too_long_is_503_audited_and_no_card_counts_as_shown(
    build: Build, connect: Connect, request_body: Any, tmp_path: Path
) -> None:
    settings = {"gather_deadline_ms": "1", "answer_deadline_ms": "100"}
    ehr = connect(build(**settings))
    held = sqlite3.connect(tmp_path / "cds.sqlite", check_same_thread=False)
    held.execute("begin immediate")
    release = threading.Timer(1, held.rollback)
    release.start()

    answer = ehr.call(request_body)

    release.join()
    held.close()
    refused(answer, 503, "transient")
    assert "too long" in answer.text
    (row,) = ehr.audited()
    assert (row["kind"], row["status"], row["patient"]) == ("refusal", 503, "p1")


def test_a_number_that_is_no_number_of_calls_is_refused(build: Build) -> None:
    with pytest.raises(Exception, match="CDS_RATE_LIMIT"):
        build(rate_limit="-1")
