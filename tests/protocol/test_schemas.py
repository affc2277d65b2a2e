"""The schemas of what goes out, one broken document for each rule."""

import copy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cds_service.protocol import schemas
from cds_service.protocol.schemas import problems, read_schema

Json = dict[str, Any]

CARD: Json = {
    "uuid": "f6b95768-b1c8-40dc-8385-bf3504b82ffb",
    "summary": "Resting heart rate is high",
    "indicator": "warning",
    "detail": "**104/min**",
    "source": {
        "label": "Example Hospital",
        "url": "https://example.org/cardiology",
        "icon": "https://example.org/icon.png",
        "topic": {"system": "http://example.org/topics", "code": "rhythm"},
    },
    "suggestions": [
        {
            "uuid": "e56e1945-20b3-4393-8503-a1a20fd73152",
            "label": "Order an ECG",
            "isRecommended": True,
            "actions": [
                {
                    "type": "create",
                    "description": "Order an ECG",
                    "resource": {"resourceType": "ServiceRequest", "x": None, "y": ""},
                },
                {
                    "type": "delete",
                    "description": "Withdraw the draft",
                    "resourceId": "Task/1",
                },
            ],
        },
        {"uuid": "0dbb8d1c-b4b8-4ad8-b79d-5ba0a0d6b0a5", "label": "Wait"},
    ],
    "selectionBehavior": "at-most-one",
    "overrideReasons": [{"system": "http://s", "code": "c", "display": "C"}],
    "links": [
        {"label": "Guideline", "url": "https://example.org/g", "type": "absolute"},
        {
            "label": "App",
            "url": "https://app.example.org/launch.html",
            "type": "smart",
            "appContext": "{}",
            "autolaunchable": False,
        },
    ],
    "extension": {"org.example": {"a": [1, True, "x", {"b": 0}]}},
}
ABSENT = object()


def changed(document: Any, *steps: Any) -> Any:
    """A copy of *document* in which the value at a path is another, or absent."""
    *path, last, value = steps
    document = copy.deepcopy(document)
    inner = document
    for step in path:
        inner = inner[step]
    if value is ABSENT:
        del inner[last]
    else:
        inner[last] = value
    return document


def places(*steps: Any) -> list[str]:
    """Where the answer with the changed card is wrong."""
    found = problems("response", {"cards": [changed(CARD, *steps)]})
    return sorted({each.expression.removeprefix("$.cards[0]") for each in found})


@pytest.mark.parametrize(
    "name", [each.stem for each in Path(schemas.__file__).parent.glob("*.json")]
)
def test_every_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(read_schema(name))


def test_a_card_with_everything_passes() -> None:
    assert problems("response", {"cards": [CARD]}) == []


def test_r_2_no_advice_is_an_empty_list_of_cards() -> None:
    assert problems("response", {"cards": []}) == []


@pytest.mark.parametrize("answer", [None, [], {}, {"cards": None}, {"cards": {}}])
def test_r_1_an_answer_is_an_object_with_cards(answer: Any) -> None:
    assert problems("response", answer) != []


def test_r_6_an_answer_holds_cards_system_actions_and_extension_only() -> None:
    action = CARD["suggestions"][0]["actions"][0]
    full = {"cards": [], "systemActions": [action], "extension": {"org.x": 1}}

    assert problems("response", full) == []
    assert problems("response", {"cards": [], "decisions": []}) != []


def test_r_4_a_system_action_needs_no_description() -> None:
    action = {"type": "delete", "resourceId": "Task/1"}

    assert problems("response", {"cards": [], "systemActions": [action]}) == []
    assert problems("response", {"cards": [], "systemActions": []}) != []
    assert problems("response", {"cards": [], "systemActions": [{}]}) != []


@pytest.mark.parametrize(
    "uuid", [ABSENT, "", "x", CARD["uuid"].upper(), CARD["uuid"] + "\n", None]
)
def test_c_1_a_card_has_a_uuid_in_lower_case(uuid: Any) -> None:
    assert places("uuid", uuid) != []


@pytest.mark.parametrize(
    "summary",
    [
        ABSENT,
        None,
        "",
        "   ",
        "x" * 140,
        "one\ntwo",
        "x\n",
        "x\r",
        "a\u2028b",
        "\tx",
        7,
    ],
)
def test_c_2_a_summary_is_one_line_under_140_characters(summary: Any) -> None:
    assert places("summary", summary) != []


@pytest.mark.parametrize("summary", ["x", "x" * 139, "Łukasz 🫀", " x "])
def test_c_2_other_summaries_pass(summary: str) -> None:
    assert places("summary", summary) == []


@pytest.mark.parametrize("detail", [None, "", "  \n", 7])
def test_c_3_detail_is_text_if_it_is_there(detail: Any) -> None:
    assert places("detail", detail) == [".detail"]
    assert places("detail", ABSENT) == []


@pytest.mark.parametrize("indicator", [ABSENT, "hard-stop", "success", "error", "INFO"])
def test_c_4_indicators_are_info_warning_and_critical(indicator: Any) -> None:
    assert places("indicator", indicator) != []


@pytest.mark.parametrize("label", [ABSENT, "", " ", None, 7])
def test_c_5_a_source_has_a_label(label: Any) -> None:
    assert places("source", "label", label) != []


def test_c_5_a_card_has_a_source() -> None:
    assert places("source", ABSENT) == [""]
    assert places("source", {}) == [".source"]


@pytest.mark.parametrize("member", ["url", "icon"])
@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "http://h",
        "https://",
        "https://h\n",
        "https://h\x1f",
        "https://h\x85",
    ],
)
def test_c_6_and_c_7_urls_of_a_source_are_absolute(member: str, url: str) -> None:
    assert places("source", member, url) == [f".source.{member}"]


@pytest.mark.parametrize("member", ["system", "code"])
def test_c_8_a_topic_is_a_coding(member: str) -> None:
    assert places("source", "topic", member, ABSENT) == [".source.topic"]
    assert places("source", "topic", member, "") == [f".source.topic.{member}"]


def test_cds_resp_1_at_most_one_suggestion_is_recommended() -> None:
    assert places("suggestions", 1, "isRecommended", True) == [".suggestions"]
    assert places("suggestions", 1, "isRecommended", False) == []
    both = changed(CARD, "suggestions", 1, "isRecommended", True)
    either = changed(both, "selectionBehavior", "any")
    assert problems("response", {"cards": [either]}) == []


def test_cds_resp_2_a_delete_names_its_resource_and_carries_none() -> None:
    delete = ("suggestions", 0, "actions", 1)

    assert places(*delete, "resourceId", ABSENT) == [".suggestions[0].actions[1]"]
    assert places(*delete, "resource", {"resourceType": "Task"}) == [
        ".suggestions[0].actions[1].resource"
    ]
    for id in (
        "Task",
        "/1",
        "https://h/Task/1",
        "Task/1\n",
        "Task/1\x85",
        "Task/1?x",
        "",
    ):
        assert places(*delete, "resourceId", id) == [
            ".suggestions[0].actions[1].resourceId"
        ]


def test_cds_resp_3_only_a_smart_link_has_an_app_context() -> None:
    assert places("links", 0, "appContext", "x") == [".links[0].appContext"]
    assert places("links", 1, "appContext", ABSENT) == []
    assert places("links", 1, "appContext", {}) == [".links[1].appContext"]


@pytest.mark.parametrize(
    ("url", "smart", "absolute"),
    [
        ("https://cds.example/smart/launch", True, True),
        ("http://127.0.0.1:8080/smart/launch", True, False),
        ("http://localhost/smart/launch", True, False),
        ("http://[::1]:8080/smart/launch", True, False),
        ("http://cds.example/smart/launch", False, False),
        ("http://127.0.0.1.example/smart/launch", False, False),
        ("http://127.0.0.1:8080", False, False),
        ("https:///smart/launch", False, False),
        ("http://localhost/a b", False, False),
        ("/smart/launch", False, False),
    ],
)
def test_c_25_a_link_is_https_but_for_an_app_on_the_machine_itself(
    url: str, smart: bool, absolute: bool
) -> None:
    assert (places("links", 1, "url", url) == []) is smart
    assert (places("links", 0, "url", url) == []) is absolute


@pytest.mark.parametrize("member", ["system", "code", "display"])
def test_cds_resp_4_an_override_reason_has_system_code_and_display(member: str) -> None:
    assert places("overrideReasons", 0, member, ABSENT) == [".overrideReasons[0]"]
    assert places("overrideReasons", 0, member, "") == [f".overrideReasons[0].{member}"]


@pytest.mark.parametrize("index", [0, 1])
def test_cds_resp_5_an_action_has_a_description(index: int) -> None:
    path = ("suggestions", 0, "actions", index, "description")

    assert places(*path, ABSENT) == [f".suggestions[0].actions[{index}]"]
    assert places(*path, " ") == [f".suggestions[0].actions[{index}].description"]


def test_cds_resp_6_suggestions_need_a_selection_behavior() -> None:
    assert places("selectionBehavior", ABSENT) == [""]
    assert places("selectionBehavior", "all") == [".selectionBehavior"]


def test_c_10_a_selection_behavior_needs_suggestions() -> None:
    assert places("suggestions", ABSENT) == [""]


def test_cds_resp_7_an_action_selection_behavior_is_one_of_three() -> None:
    for value in ("all", "any", "at-most-one"):
        assert places("suggestions", 0, "actionSelectionBehavior", value) == []
    assert places("suggestions", 0, "actionSelectionBehavior", "none") != []


@pytest.mark.parametrize("member", ["uuid", "label"])
def test_c_12_and_c_13_a_suggestion_has_a_label_and_a_uuid(member: str) -> None:
    assert places("suggestions", 0, member, ABSENT) == [".suggestions[0]"]
    assert places("suggestions", 0, member, "") == [f".suggestions[0].{member}"]


@pytest.mark.parametrize("kind", [ABSENT, "CREATE", "remove", ""])
def test_c_17_an_action_has_one_of_three_types(kind: Any) -> None:
    assert places("suggestions", 0, "actions", 0, "type", kind) != []


@pytest.mark.parametrize("kind", ["create", "update"])
@pytest.mark.parametrize("resource", [ABSENT, None, {}, "{}", {"resourceType": 7}])
def test_c_19_and_c_20_create_and_update_carry_a_resource(
    kind: str, resource: Any
) -> None:
    card = changed(CARD, "suggestions", 0, "actions", 0, "type", kind)
    assert problems("response", {"cards": [card]}) == []

    card = changed(card, "suggestions", 0, "actions", 0, "resource", resource)

    assert problems("response", {"cards": [card]}) != []


def test_c_21_create_names_no_other_resource() -> None:
    assert places("suggestions", 0, "actions", 0, "resourceId", "Task/1") != []


@pytest.mark.parametrize("member", ["label", "url", "type"])
def test_c_25_a_link_has_a_label_a_url_and_a_type(member: str) -> None:
    assert places("links", 0, member, ABSENT) == [".links[0]"]
    assert places("links", 0, member, "") == [f".links[0].{member}"]


@pytest.mark.parametrize(
    "url", ["/g", "javascript:alert(1)", "http://h/g", "https://h g", "https://h/\x1c"]
)
def test_c_25_a_link_is_an_absolute_https_url(url: str) -> None:
    assert places("links", 0, "url", url) == [".links[0].url"]


@pytest.mark.parametrize("query", ["?iss=https://h", "?launch=1", "?a=1&launch=x"])
def test_c_27_a_smart_link_leaves_the_launch_to_the_client(query: str) -> None:
    assert places("links", 1, "url", "https://app.example.org/" + query) == [
        ".links[1].url"
    ]


@pytest.mark.parametrize("value", [None, "", [], {}])
@pytest.mark.parametrize(
    "path",
    [("detail",), ("suggestions",), ("overrideReasons",), ("links",), ("extension",)]
    + [("source", "extension"), ("extension", "org.example")]
    + [("extension", "org.example", "a"), ("suggestions", 0, "actions")],
)
def test_j_4_and_j_5_nothing_is_null_or_empty(
    path: tuple[Any, ...], value: Any
) -> None:
    assert places(*path, value) != []


def test_j_5_a_resource_may_hold_what_fhir_lets_it() -> None:
    resource = {"resourceType": "ServiceRequest", "note": [], "code": None}

    assert places("suggestions", 0, "actions", 0, "resource", resource) == []


@pytest.mark.parametrize(
    "path",
    [(), ("source",), ("source", "topic"), ("suggestions", 0), ("links", 0)]
    + [("suggestions", 0, "actions", 0), ("overrideReasons", 0)],
)
def test_x_5_every_object_may_carry_an_extension(path: tuple[Any, ...]) -> None:
    assert places(*path, "extension", {"org.example.a-b": {"x": [1]}}) == []
    assert places(*path, "extension", {"example": 1}) != []
    assert places(*path, "extension", [{"url": "x"}]) != []
    assert places(*path, "unknown", 1) != []


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("hook", ABSENT),
        ("description", ABSENT),
        ("id", ABSENT),
        ("id", "a/b"),
        ("id", "a b"),
        ("hook", "patientview"),
        ("title", ""),
        ("prefetch", {}),
        ("prefetch", {"k": ""}),
        ("usageRequirements", ""),
        ("version", "3.0"),
        ("hookVersion", ""),
        ("extension", {}),
        ("name", "x"),
    ],
)
def test_d_2_to_d_9_discovery_is_held_to_its_fields(member: str, value: Any) -> None:
    entry = {
        "hook": "patient-view",
        "title": "X",
        "description": "X",
        "id": "a-b.c_d~e",
        "prefetch": {"k": "Patient/{{context.patientId}}"},
        "usageRequirements": "X",
        "version": "3.0.0",
        "hookVersion": "0.1.0",
        "extension": {"org.example": "1"},
    }
    assert problems("discovery", {"services": [entry]}) == []

    assert problems("discovery", {"services": [changed(entry, member, value)]}) != []


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "OperationOutcome"},
        {"resourceType": "OperationOutcome", "issue": []},
        {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]},
        {"issue": [{"severity": "error", "code": "invalid"}]},
        {
            "resourceType": "OperationOutcome",
            "issue": [{"severity": "error", "code": "made-up"}],
        },
        {
            "resourceType": "OperationOutcome",
            "issue": [{"severity": "error", "code": "invalid", "diagnostics": ""}],
        },
        {
            "resourceType": "OperationOutcome",
            "issue": [{"severity": "error", "code": "invalid", "expression": []}],
        },
    ],
)
def test_e_3_an_operation_outcome_has_issues_and_nothing_empty(body: Json) -> None:
    assert problems("operation-outcome", body) != []


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("card", ABSENT),
        ("outcome", "ignored"),
        ("outcomeTimestamp", "2025-12-11T10:05:31"),
        ("acceptedSuggestions", ABSENT),
        ("acceptedSuggestions", []),
        ("overrideReason", {"x": 1}),
        ("overrideReason", {"reason": {"code": "c"}}),
    ],
)
def test_cds_fb_1_to_3_feedback_by_the_letter(member: str, value: Any) -> None:
    entry = {
        "card": "x",
        "outcome": "accepted",
        "acceptedSuggestions": [{"id": "y"}],
        "outcomeTimestamp": "2025-12-11T10:05:31Z",
    }
    assert problems("feedback", {"feedback": [entry]}) == []

    assert problems("feedback", {"feedback": [changed(entry, member, value)]}) != []


def test_a_problem_says_the_place_and_the_rule_and_never_the_value() -> None:
    (problem,) = problems("response", {"cards": [{**CARD, "summary": "Jane " * 30}]})

    assert problem.expression == "$.cards[0].summary"
    assert problem.text == "$.cards[0].summary: maxLength: 139"


def broken_cards() -> list[Any]:
    """The card with each of its values, at any depth, replaced or taken away."""
    paths: list[list[Any]] = []

    def walk(value: Any, path: list[Any]) -> None:
        if path:
            paths.append(path)
        if isinstance(value, dict):
            for name, inner in value.items():
                walk(inner, [*path, name])
        if isinstance(value, list):
            for index, inner in enumerate(value):
                walk(inner, [*path, index])

    walk(CARD, [])
    others = (
        ABSENT,
        None,
        "",
        7,
        [],
        {},
        "delete",
        "smart",
        {"org.x": None},
        [7, None],
    )
    return [changed(CARD, *path, other) for path in paths for other in others]


@pytest.mark.slow
def test_every_fault_of_an_answer_is_found_that_jsonschema_finds() -> None:
    thorough = Draft202012Validator(read_schema("response"))
    cards = broken_cards()

    assert len(cards) > 400
    for card in cards:
        answer = {"cards": [CARD, card], "extension": {"org.x": 1}}
        found = [tuple(p.text.split(": ")[:2]) for p in problems("response", answer)]
        expected = [
            (error.json_path, error.validator) for error in thorough.iter_errors(answer)
        ]
        assert sorted(found) == sorted(expected)
