"""What came for a prefetch key, read into a source."""

import pytest

from cds_service.fhir.chart import SourceQuery, SourceState, Unusable
from cds_service.fhir.entries import next_link
from cds_service.fhir.questions import Obtained
from cds_service.fhir.reading import merge, read_source
from cds_service.fhir.subjects import Identity
from cds_service.protocol.errors import WrongPatient

LOADED, PARTIAL, MISSING = SourceState
CONDITIONS = SourceQuery(
    "conditions", "conditions", "Condition?patient={{context.patientId}}"
)
PATIENT = SourceQuery("patient", "patient", "Patient/{{context.patientId}}")
PATIENTS = SourceQuery("patient", "patient", "Patient?_id={{context.patientId}}")
ME = Identity("p1", "https://ehr.example/fhir")


def read(value, query=CONDITIONS, why=""):
    return read_source(query, Obtained((value,), why, "prefetch"), ME)


def ids(source):
    return [each.get("id") for each in source.resources]


@pytest.mark.parametrize(
    "members",
    [
        {"type": "collection"},
        {"type": None},
        {"total": None},
        {"total": "2"},
        {"total": 2},
        {"total": 2.0},
        {"total": "some"},
        {"total": 1},
        {"link": "none"},
        {"link": [{"relation": "self", "url": "x"}, 7]},
    ],
)
def test_p_19_variants_of_a_bundle_are_read_alike(bundle, condition, members):
    source = read(bundle(condition("a"), condition("b"), **members))

    assert (ids(source), source.state, source.why) == (["a", "b"], LOADED, "")


@pytest.mark.parametrize(
    "value",
    [
        "text",
        7,
        True,
        [],
        [{"resourceType": "Bundle"}],
        {},
        {"resourceType": "Condition", "id": "c1"},
        {"resourceType": "Patient", "id": "p1"},
        {"response": {"status": "200 OK"}, "resource": {"resourceType": "Bundle"}},
        {"resourceType": ["Bundle"]},
    ],
)
def test_p_20_a_wrong_shape_for_a_search_is_missing(value):
    source = read(value)

    assert (source.state, source.why) == (MISSING, "wrong shape")


@pytest.mark.parametrize(
    "value",
    [
        "text",
        [],
        {},
        {"resourceType": "Bundle", "entry": []},
        {"resourceType": "Practitioner", "id": "p1"},
        {"response": {}, "resource": {"resourceType": "Patient", "id": "p1"}},
    ],
)
def test_p_20_a_wrong_shape_for_a_read_is_missing(value):
    source = read(value, PATIENT)

    assert (source.state, source.why) == (MISSING, "wrong shape")


@pytest.mark.parametrize("identifier", [None, 7, ["p1"]])
def test_a_patient_without_an_id_is_missing(identifier):
    source = read({"resourceType": "Patient", "id": identifier}, PATIENT)

    assert (source.state, source.why) == (MISSING, "Patient without an id")


def test_p_23_a_patient_with_another_id_is_refused():
    with pytest.raises(WrongPatient):
        read({"resourceType": "Patient", "id": "p2"}, PATIENT)


def test_the_right_patient_is_read_with_whatever_odd_fields_it_has():
    odd = {"resourceType": "Patient", "id": "p1", "name": "malformed"}

    assert read(odd, PATIENT).resources == (odd,)


def test_a_bundle_may_hold_relatives_beside_the_patient(bundle, patient):
    mother = {"resourceType": "Patient", "id": "p2"}

    assert ids(read(bundle(mother, patient), PATIENTS)) == ["p1"]
    assert read(bundle(mother), PATIENTS).state is MISSING
    assert read(None, PATIENTS).state is MISSING


@pytest.mark.parametrize(
    ("entry", "reason", "reference"),
    [
        (7, "entry without a resource", ""),
        (None, "entry without a resource", ""),
        ({"fullUrl": "x"}, "entry without a resource", ""),
        ({"resource": {"id": "x"}}, "no resourceType", ""),
        ({"resource": {"resourceType": 7}}, "no resourceType", ""),
        ({"resource": {"resourceType": "Bundle"}}, "a Bundle in a Bundle", ""),
        ({"resource": {"resourceType": "condition"}}, "resourceType misspelled", ""),
        ({"resource": {"resourceType": "Condition "}}, "resourceType misspelled", ""),
        (
            {"resource": {"resourceType": "Condition", "id": "c2"}},
            "no subject",
            "Condition/c2",
        ),
        (
            {
                "resource": {
                    "resourceType": "Condition",
                    "subject": {"reference": "urn:uuid:1"},
                }
            },
            "subject cannot be followed",
            "",
        ),
    ],
)
def test_an_unreadable_entry_hides_no_other_and_is_counted(
    bundle, condition, entry, reason, reference
):
    page = bundle(condition("a"))
    page["entry"] = [entry, *page["entry"]]

    source = read(page)

    assert ids(source) == ["a"]
    assert (source.state, source.why) == (PARTIAL, "entries unreadable")
    assert source.unusable == (Unusable(reason, reference),)


@pytest.mark.parametrize("entries", ["text", {"resource": {}}, 7])
def test_entries_that_are_no_list_make_the_source_partial(entries):
    assert read({"resourceType": "Bundle", "entry": entries}).state is PARTIAL


def test_p_21_who_and_what_matches_refer_to_is_set_aside(bundle, condition, patient):
    source = read(
        bundle(
            condition("a"),
            patient,
            {"resourceType": "Patient", "id": "p2"},
            {"resourceType": "Medication", "id": "m"},
            {"resourceType": "Encounter", "subject": {"reference": "Patient/p2"}},
        )
    )

    assert (ids(source), source.state, source.foreign) == (["a"], LOADED, 0)


def entry(kind, mode=None, **members):
    resource = {"resourceType": kind, "id": "x", "subject": {"reference": "Patient/p1"}}
    search = {} if mode is None else {"search": {"mode": mode}}
    return {"resource": resource | members, **search}


@pytest.mark.parametrize("kind", ["Observation", "Patient", "Medication", "Condition2"])
@pytest.mark.parametrize("mode", ["match", "Match", " match"])
def test_an_answer_of_another_type_than_was_asked_for_is_doubted(
    bundle, condition, kind, mode
):
    page = bundle(condition("a"))
    page["entry"].append(entry(kind, mode))

    source = read(page)

    assert ids(source) == ["a"]
    assert (source.state, source.why) == (PARTIAL, "entries of another type")
    assert source.unusable == (Unusable("not the type asked for", f"{kind}/x"),)


def test_observations_instead_of_problems_are_not_no_problems(bundle):
    page = bundle()
    page["entry"] = [entry("Observation", "match")]

    assert read(page).state is PARTIAL


@pytest.mark.parametrize("mode", [None, 7, "", "exclude"])
@pytest.mark.parametrize("kind", ["Observation", "MedicationRequest", "Procedure"])
def test_a_search_that_brings_other_findings_without_a_word_of_why_is_doubted(
    bundle, condition, kind, mode
):
    page = bundle(condition("a"))
    page["entry"].append(entry(kind, mode))

    assert (ids(read(page)), read(page).state) == (["a"], PARTIAL)


@pytest.mark.parametrize("mode", ["include", "outcome", "Include "])
@pytest.mark.parametrize("kind", ["Observation", "Patient", "Medication"])
def test_what_is_said_to_come_along_is_not_doubted(bundle, condition, kind, mode):
    page = bundle(condition("a"))
    page["entry"].append(entry(kind, mode))

    assert (ids(read(page)), read(page).state) == (["a"], LOADED)


@pytest.mark.parametrize("kind", ["Patient", "Practitioner", "Medication"])
def test_what_comes_along_with_nothing_answers_another_question(bundle, kind):
    page = bundle()
    page["entry"] = [entry(kind)]

    source = read(page)

    assert (source.state, source.why) == (
        PARTIAL,
        "nothing of the type that was asked for",
    )


@pytest.mark.parametrize("type", ["collection", "document", "transaction", "message"])
def test_a_whole_chart_under_every_key_is_read_without_doubt(
    bundle, condition, patient, type
):
    chart = [patient, {"resourceType": "Observation"}, {"resourceType": "Procedure"}]

    some = read(bundle(condition("a"), *chart, type=type))
    none = read(bundle(*chart, type=type))

    assert (ids(some), some.state) == (["a"], LOADED)
    assert (ids(none), none.state) == ([], LOADED)


def test_a_collection_of_other_things_under_the_wrong_key_is_doubted(bundle):
    relative = {"resourceType": "Patient", "id": "p2"}
    others = bundle({"resourceType": "Observation"}, relative, type="collection")

    assert read(others).why == "nothing of the type that was asked for"


def test_the_same_resource_twice_counts_once(bundle, condition):
    anonymous = condition()
    del anonymous["id"]

    source = read(bundle(condition("a"), condition("a"), anonymous, anonymous))

    assert ids(source) == ["a", None, None]


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ({"versionId": "9"}, {"versionId": "10"}, "second"),
        ({"versionId": "10"}, {"versionId": "9"}, "first"),
        (
            {"lastUpdated": "2026-11-22T10:00:00+02:00"},
            {"lastUpdated": "2026-11-22T09:00:00Z"},
            "second",
        ),
        (
            {"versionId": "1", "lastUpdated": "2026-11-22T09:00:00Z"},
            {"versionId": "1", "lastUpdated": "2026-11-22T08:00:00Z"},
            "first",
        ),
    ],
)
def test_of_two_versions_the_newer_counts(bundle, condition, first, second, kept):
    one = condition("a", meta=first, code={"text": "first"})
    other = condition("a", meta=second, code={"text": "second"})

    source = read(bundle(one, condition("b"), other, one, other))

    assert [each["code"]["text"] for each in source.resources] == [kept, "something"]
    assert (source.state, source.unusable) == (LOADED, ())


@pytest.mark.parametrize(
    "meta",
    [
        None,
        7,
        {},
        {"versionId": "1"},
        {"versionId": "x"},
        {"versionId": 7},
        {"lastUpdated": "2026"},
        {"lastUpdated": "now"},
        {"lastUpdated": "2026-11-22T12:00:00Z"},
        {"versionId": "9" * 5000},
    ],
    ids=lambda meta: str(meta)[:40],
)
def test_two_resources_with_one_id_are_not_taken_for_one(bundle, condition, meta):
    one = condition("a", meta=meta, code={"text": "first"})
    other = condition("a", meta=meta, code={"text": "second"})

    source = read(bundle(one, other))

    assert [each["code"]["text"] for each in source.resources] == ["first"]
    assert source.unusable == (Unusable("another resource has this id", "Condition/a"),)
    assert source.state is PARTIAL


def test_two_resources_whose_ids_lost_half_a_character_are_two(bundle, condition):
    older = condition("a\ufffd", meta={"versionId": "1"}, code={"text": "first"})
    newer = condition("a\ufffd", meta={"versionId": "2"}, code={"text": "second"})

    source = read(bundle(older, newer))

    texts = [each["code"]["text"] for each in source.resources]
    assert (texts, source.state) == (["first", "second"], LOADED)


def outcome(*severities, code="processing"):
    issues = [{"severity": severity, "code": code} for severity in severities]
    return {"resourceType": "OperationOutcome", "issue": issues}


@pytest.mark.parametrize(
    "severities", [["warning"], ["success"], ["information", "warning"]]
)
def test_p_15_a_warning_beside_the_matches_changes_nothing(
    bundle, condition, severities
):
    source = read(bundle(condition("a"), outcome(*severities)))

    assert (ids(source), source.state) == (["a"], LOADED)


@pytest.mark.parametrize("severities", [["error"], ["warning", "fatal"], [None]])
def test_p_15_an_error_beside_the_matches_makes_it_partial(
    bundle, condition, severities
):
    source = read(bundle(condition("a"), outcome(*severities)))

    assert (ids(source), source.state) == (["a"], PARTIAL)


def test_p_15_an_error_and_nothing_else_is_a_failure(bundle):
    source = read(bundle(outcome("error")))

    assert (source.state, source.why) == (MISSING, "OperationOutcome")


WITHHELD = [
    *("suppressed", "security", "forbidden", "login", "unknown", "expired"),
    *("incomplete", "timeout", "throttled", "transient", "lock-error", "no-store"),
    *("exception", "too-costly", "too-long", "structure", "required", "invariant"),
    "Suppressed",
]


@pytest.mark.parametrize("code", WITHHELD)
@pytest.mark.parametrize("severity", ["warning", "information", "success"])
def test_p_15_no_problems_and_a_word_that_some_are_withheld_is_not_none(
    bundle, severity, code
):
    source = read(bundle(outcome(severity, code=code), total=0))

    assert (source.state, source.why) == (
        PARTIAL,
        f"an OperationOutcome says that not all came ({code.lower()})",
    )


@pytest.mark.parametrize("code", WITHHELD)
def test_p_15_problems_and_a_word_that_some_are_withheld_may_not_be_all(
    bundle, condition, code
):
    source = read(bundle(condition("a"), outcome("warning", code=code)))

    assert (ids(source), source.state) == (["a"], PARTIAL)


def test_p_15_every_page_and_every_issue_is_heeded(bundle, condition):
    epic = outcome("information", "warning")
    epic["issue"][1]["code"] = "suppressed"
    pages = bundle(condition("a")), bundle(epic)

    source = read_source(CONDITIONS, Obtained(pages, "", "fhir"), ME)

    assert (ids(source), source.state) == (["a"], PARTIAL)


def test_p_15_what_is_routine_with_some_servers_raises_no_doubt(bundle):
    # Epic: 4101 "returns no results", 4119 "additional data may be present"
    for code in ("processing", "not-found", "informational"):
        for severity in ("warning", "information"):
            source = read(bundle(outcome(severity, code=code), total=0))

            assert (source.state, source.why) == (LOADED, ""), (code, severity)


@pytest.mark.parametrize("code", [None, 7, "", "x", ["suppressed"]])
def test_p_15_an_issue_of_no_known_type_may_mean_anything(bundle, code):
    assert read(bundle(outcome("warning", code=code))).state is PARTIAL


def test_p_15_an_outcome_without_issues_may_mean_anything(bundle):
    assert read(bundle(outcome())).state is PARTIAL


def test_p_15_issues_of_the_bundle_itself_are_heeded_as_r5_has_them(bundle):
    withheld = outcome("warning", code="suppressed")

    assert read(bundle(issues=withheld)).state is PARTIAL
    assert read(bundle(issues=outcome("information"))).state is LOADED
    assert read(bundle(issues=outcome("error"))).state is MISSING


@pytest.mark.parametrize("severity", ["Warning", " INFORMATION"])
def test_p_15_a_severity_is_known_in_every_spelling(bundle, severity):
    routine = outcome(severity)
    withheld = outcome(severity, code="suppressed")

    assert read(bundle(routine)).state is LOADED
    assert read(bundle(withheld)).state is PARTIAL


@pytest.mark.parametrize("member", ["tag", "security"])
@pytest.mark.parametrize("code", ["SUBSETTED", "REDACTED", "MASKED", "redacted "])
def test_a_bundle_that_is_labelled_as_cut_is_not_all_there_is(
    bundle, condition, member, code
):
    coding = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"}
    label = {member: [{**coding, "code": code}]}

    source = read(bundle(condition("a"), meta=label))

    assert (ids(source), source.state) == (["a"], PARTIAL)
    assert source.why == "the bundle is labelled as cut"


@pytest.mark.parametrize(
    "meta",
    [
        {"tag": [{"code": "ACTIONABLE"}, 7, {"code": 7}, {}]},
        {"security": {"code": "R"}},
        {"tag": "SUBSETTED"},
        "SUBSETTED",
    ],
)
def test_other_labels_of_a_bundle_say_nothing_of_what_it_lacks(bundle, meta):
    assert read(bundle(meta=meta)).state is LOADED


def test_p_15_an_error_and_nothing_but_other_types_is_a_failure(bundle):
    page = bundle(outcome("error"))
    page["entry"].append(entry("Observation", "match"))

    assert read(page).state is MISSING


@pytest.mark.parametrize("total", [5, "5", " 5 ", 5.0, 2])
def test_p_22_fewer_entries_than_the_total_are_partial(bundle, condition, total):
    source = read(bundle(condition("a"), total=total))

    assert (source.state, source.why) == (PARTIAL, "fewer entries than the total")


def test_foreign_entries_count_towards_the_total(bundle, condition):
    source = read(bundle(condition("a"), condition("b", "Patient/p2"), total=2))

    assert (source.state, source.foreign) == (LOADED, 1)


def test_pages_are_read_in_their_order_and_what_was_cut_is_said(bundle, condition):
    pages = bundle(condition("b")), bundle(condition("a")), bundle(condition("b"))

    source = read_source(CONDITIONS, Obtained(pages, "HTTP 500", "fhir"), ME)

    assert (ids(source), source.state) == (["b", "a"], PARTIAL)
    assert (source.why, source.origin) == ("HTTP 500", "fhir")


def test_several_reasons_stand_side_by_side(bundle, condition):
    source = read(bundle(condition("a"), {}, outcome("error")), why="timeout")

    assert source.why == (
        "timeout; entries unreadable; OperationOutcome beside the matches (processing)"
    )


def test_no_answer_is_missing_with_its_reason():
    source = read_source(CONDITIONS, Obtained(why="timeout", origin="fhir"), ME)

    assert (source.state, source.why, source.resources) == (MISSING, "timeout", ())


def test_sources_of_several_keys_are_joined(bundle, condition):
    first = read(bundle(condition("a"), condition("x", "Patient/p2")))
    second = read(bundle(condition("a"), condition("b"), {}))

    joined = merge([first, second])

    assert (ids(joined), joined.state) == (["a", "b"], PARTIAL)
    assert (joined.foreign, len(joined.unusable), joined.origin) == (1, 1, "prefetch")


@pytest.mark.parametrize(
    ("page", "link"),
    [
        ({"link": [{"relation": "next", "url": "u"}]}, "u"),
        ({"link": [{"relation": "self", "url": "s"}]}, None),
        ({"link": [7, {"relation": "next"}]}, ""),
        ({"link": {"relation": "next"}}, ""),
        ({"link": {"relation": "next", "url": "u"}}, "u"),
        ({"link": [{"relation": "Next", "url": "u"}]}, "u"),
        ({"link": [{"relation": " next ", "url": "u"}]}, "u"),
        ({"link": [{"relation": "previous", "url": "u"}]}, None),
        ({}, None),
    ],
)
def test_p_16_the_next_link_is_found(page, link):
    assert next_link({"resourceType": "Bundle"} | page) == link


@pytest.mark.parametrize("value", [None, "text", [], {"resourceType": "Patient"}])
def test_what_is_no_bundle_has_no_next_page(value):
    assert next_link(value) is None


def test_one_resource_that_is_read_by_its_id_must_be_the_patients_own(condition):
    query = SourceQuery("c", "conditions", "Condition/c1")

    assert ids(read(condition("c1"), query)) == ["c1"]
    assert read(condition("c1", "Patient/p2"), query).foreign == 1
    assert read(None, query).state is LOADED
