"""Services: found by id and hook, and told of in discovery."""

import pytest

from cds_service.protocol.errors import UnknownService, WrongHook
from cds_service.protocol.hooks import HOOKS
from cds_service.protocol.schemas import problems
from cds_service.protocol.services import Service, discovery, find_service

VIEW = Service(
    id="heart-rhythm",
    hook="patient-view",
    title="Heart rhythm",
    description="Looks at heart rhythm from wearables.",
    usage_requirements="Needs prefetch or a FHIR server.",
    prefetch={"patient": "Patient/{{context.patientId}}"},
)
SIGN = Service(
    id="heart-rhythm",
    hook="order-sign",
    title="Heart rhythm",
    description="At signing.",
)
OTHER = Service(
    id="falls", hook="encounter-start", title="Falls", description="Looks at falls."
)
OWN = Service(
    id="own", hook="org.example.wearable-alert", title="", description="On an alert."
)


def test_d_11_one_id_on_two_hooks_is_two_services() -> None:
    assert find_service([VIEW, SIGN], "heart-rhythm", "order-sign") is SIGN
    assert find_service([VIEW, SIGN], "heart-rhythm", "patient-view") is VIEW


def test_e_5_an_id_that_no_service_has_is_unknown() -> None:
    with pytest.raises(UnknownService) as refused:
        find_service([VIEW], "heart", "patient-view")

    assert refused.value.status == 404


def test_q_2_a_service_on_other_hooks_says_which() -> None:
    with pytest.raises(WrongHook) as refused:
        find_service([VIEW, SIGN, OTHER], "heart-rhythm", "encounter-start")

    (problem,) = refused.value.problems
    assert refused.value.status == 400
    assert problem.expression == "$.hook"
    assert problem.text.endswith("offered on order-sign, patient-view")


def test_d_3_to_d_9_an_entry_tells_all_there_is() -> None:
    assert discovery([VIEW]) == {
        "services": [
            {
                "hook": "patient-view",
                "title": "Heart rhythm",
                "description": "Looks at heart rhythm from wearables.",
                "id": "heart-rhythm",
                "prefetch": {"patient": "Patient/{{context.patientId}}"},
                "usageRequirements": "Needs prefetch or a FHIR server.",
                "version": "3.0.0",
                "hookVersion": "1.0",
            }
        ]
    }


def test_j_6_an_entry_leaves_out_what_it_does_not_have() -> None:
    assert discovery([OWN]) == {
        "services": [
            {
                "hook": "org.example.wearable-alert",
                "description": "On an alert.",
                "id": "own",
                "version": "3.0.0",
            }
        ]
    }


def test_d_9_the_hook_version_is_the_published_one() -> None:
    for hook in HOOKS.values():
        (entry,) = discovery([Service("x", hook.name, "X", "X")])["services"]

        assert entry["hookVersion"] == hook.version


def test_d_12_no_services_is_an_empty_list() -> None:
    assert discovery([]) == {"services": []}
    assert problems("discovery", discovery([])) == []


def test_d_15_the_release_of_the_service_stands_in_an_extension() -> None:
    (entry,) = discovery([SIGN], release="1.2.3")["services"]

    assert entry["extension"] == {"org.cds-service.release": "1.2.3"}


def test_d_1_the_order_is_the_one_given() -> None:
    entries = discovery([OTHER, VIEW, SIGN])["services"]

    assert [entry["id"] for entry in entries] == [
        "falls",
        "heart-rhythm",
        "heart-rhythm",
    ]


def test_every_entry_passes_the_schema_of_discovery() -> None:
    assert problems("discovery", discovery([VIEW, SIGN, OTHER, OWN])) == []
    assert problems("discovery", discovery([VIEW, OWN], release="1.2.3")) == []
