"""What a SMART token lets us ask."""

import pytest

from cds_service.fhir.scopes import Grant, grant, parse_scope, why_not_fetched
from cds_service.protocol.requests import FhirAuthorization

SEARCH = "Condition?patient=p1"
READ = "Condition/c1"
FULL, NARROWED, NONE = Grant


def granted(scope, query=SEARCH):
    return grant(parse_scope(scope), query)


@pytest.mark.parametrize("context", ["patient", "user", "system"])
@pytest.mark.parametrize("kind", ["Condition", "*"])
@pytest.mark.parametrize(
    ("verbs", "search", "read"),
    [
        ("read", FULL, FULL),
        ("write", NONE, NONE),
        ("*", FULL, FULL),
        ("rs", FULL, FULL),
        ("r", NONE, FULL),
        ("s", FULL, NONE),
        ("cruds", FULL, FULL),
        ("cud", NONE, NONE),
        ("cr", NONE, FULL),
        ("us", FULL, NONE),
    ],
)
def test_a_5_every_verb_of_both_versions(context, kind, verbs, search, read):
    scope = f"{context}/{kind}.{verbs}"

    assert (granted(scope, SEARCH), granted(scope, READ)) == (search, read)
    assert granted(f"openid launch/patient {scope}", SEARCH) is search
    if kind == "Condition":
        assert granted(scope, "Observation?patient=p1") is NONE


@pytest.mark.parametrize(
    ("scope", "found"),
    [
        ("patient/Condition.r patient/*.s", FULL),
        ("patient/Condition.r user/Condition.s", FULL),
        ("patient/Condition.write patient/Condition.read", FULL),
        ("patient/Condition.r patient/Condition.r", NONE),
        ("patient/Observation.rs user/Patient.rs", NONE),
    ],
)
def test_a_5_permissions_add_up(scope, found):
    assert granted(scope) is found


@pytest.mark.parametrize("word", ["launch", "launch/patient", "launch/encounter"])
def test_a_5_a_launch_context_says_nothing_about_resources(word):
    assert granted(f"{word} patient/Observation.rs") is NONE


@pytest.mark.parametrize(
    "scope",
    [
        "",
        " ",
        "launch openid fhirUser",
        "patient/Observation.rs patient/Condition.sr",
        "patient/Observation.rs patient/Condition.",
        "patient/Observation.rs patient/condition.read",
        "patient/Observation.rs https://example.org/scope",
        "patient/Observation.rs practitioner/Condition.rs",
    ],
)
def test_a_5_what_cannot_be_read_lets_the_server_decide(scope):
    assert granted(scope) is FULL


def test_a_5_what_cannot_be_read_widens_no_filter():
    scope = "https://example.org/scope patient/Condition.rs?category=a"

    assert granted(scope) is NARROWED


def test_a_5_many_scopes_are_all_looked_at():
    kinds = [f"patient/Kind{'x' * n}.cruds" for n in range(2_000)]
    scope = " ".join([*kinds, "patient/Condition.s"])

    assert granted(scope) is FULL
    assert granted(scope, "Observation?patient=p1") is NONE


@pytest.mark.parametrize(
    ("scope", "found"),
    [
        ("patient/Condition.rs?category=problem-list-item", NARROWED),
        ("patient/Condition.rs?category", NARROWED),
        ("patient/Condition.rs?", NARROWED),
        ("patient/Condition.rs?%", NARROWED),
        ("patient/*.rs?category=a", NARROWED),
        ("patient/Condition.rs?patient=p1", FULL),
        ("patient/Condition.rs?patient=p2", NARROWED),
        ("patient/Condition.rs?category=a user/Condition.rs", FULL),
        ("patient/Condition.rs?category=a user/Condition.r", NARROWED),
        ("patient/Condition.rs?category=a patient/Condition.rs?category=b", NARROWED),
        ("patient/Condition.rs?category=a patient/*.s", FULL),
        ("patient/Condition.r?category=a", NONE),
        ("patient/Condition.r?category=a patient/Condition.s?category=b", NARROWED),
        ("patient/Condition.rs?patient=p1&category=a", NARROWED),
    ],
)
def test_a_6_a_granular_scope_narrows_what_the_query_does_not(scope, found):
    assert granted(scope) is found


@pytest.mark.parametrize(
    ("constraint", "parameters", "found"),
    [
        ("category=a", "category=a", FULL),
        ("category=a,b", "category=a", FULL),
        ("category=a", "category=a,b", NARROWED),
        ("category=http://x|a", "category=http%3A%2F%2Fx%7Ca", FULL),
        ("category=http://x|a", "category=a", NARROWED),
        ("category=a", "category=a&code=1", FULL),
        ("category=a&code=1", "category=a", NARROWED),
        ("category=a", "category=b&category=a", FULL),
        ("category:not=a,b", "category:not=a", NARROWED),
        ("category:not=a", "category:not=a", FULL),
        (r"category=a\,b", r"category=a\,b", FULL),
        (r"category=a\,b,c", r"category=b", NARROWED),
    ],
)
def test_a_6_a_query_that_asks_for_no_more_than_the_filter_is_whole(
    constraint, parameters, found
):
    scope = f"patient/Observation.rs?{constraint}"

    assert granted(scope, f"Observation?patient=p1&{parameters}") is found


def token(subject="us", expires_in=300):
    return FhirAuthorization("t", "patient/*.rs", subject, expires_in)


def test_a_9_a_token_for_another_client_is_left_alone():
    assert why_not_fetched(token("them"), "us", 1) == (
        "the token was issued to another client"
    )
    assert why_not_fetched(token("us"), "us", 1) == ""


def test_a_9_where_we_do_not_know_who_we_are_every_token_is_taken():
    assert why_not_fetched(token("them"), "", 1) == ""
    assert why_not_fetched(None, "us", 1) == ""


@pytest.mark.parametrize(
    ("expires_in", "seconds", "why"),
    [
        (0, 0.4, "the token expires too soon"),
        (-1, 0.4, "the token expires too soon"),
        (1, 0.4, ""),
        (1, 1.5, "the token expires too soon"),
        (2, 1.5, ""),
        (None, 60, ""),
    ],
)
def test_a_12_a_token_must_outlive_the_fetch(expires_in, seconds, why):
    assert why_not_fetched(token(expires_in=expires_in), "", seconds) == why
