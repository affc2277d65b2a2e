"""How a client's FHIR servers want to be asked: said in the clients file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cds_service.config import InvalidConfig, load_clients
from cds_service.fhir.forms import DEMANDED, Added, Form

Write = Callable[[str], Path]
INTENTS = DEMANDED["MedicationRequest"]["intent"].every


def queries(file: Path) -> tuple[Form, ...]:
    (known,) = load_clients(file, development=False, lifetime=3600).clients
    return known.client.queries


def problem(file: Path) -> str:
    with pytest.raises(InvalidConfig) as refused:
        queries(file)
    return "\n".join(refused.value.problems).replace(f"{file.parent}/", "")


@pytest.fixture
def say(write: Write, keys_line: str) -> Callable[[str], Path]:
    """A clients file whose only client says this of its FHIR servers."""

    def build(text: str) -> Path:
        head = "clients:\n  - id: ehr\n    iss: https://ehr.example\n"
        return write(f"{head}{keys_line}\n    queries: {text}\n")

    return build


def test_a_client_that_says_nothing_is_asked_as_anybody(
    write: Write, keys_line: str
) -> None:
    file = write(f"clients:\n  - id: ehr\n    iss: https://ehr.example\n{keys_line}\n")

    assert queries(file) == ()


def test_what_is_demanded_refused_and_taken_one_by_one_is_said_by_resource_type(
    say: Callable[[str], Path],
) -> None:
    file = say("""
      "*": {without: [_sort]}
      MedicationRequest: {with: {intent: [order, plan]}}
      Observation: {one_by_one: [code], without: [_include, _count]}
      Medication: {as_reads: true}
""")

    assert queries(file) == (
        Form(without=("_sort",)),
        Form("Medication", as_reads=True),
        Form("MedicationRequest", added=(Added("intent", ("order", "plan")),)),
        Form("Observation", without=("_count", "_include"), one_by_one=("code",)),
    )


def test_all_is_every_value_of_fhir(say: Callable[[str], Path]) -> None:
    (form,) = queries(say("{MedicationRequest: {with: {intent: all}}}"))

    assert form.added == (Added("intent", INTENTS, True),)


@pytest.mark.parametrize(
    ("with_", "whole"),
    [
        ("intent: [order, plan]", True),
        ("intent: [order]", False),
        ("intent: [plan, proposal]", False),
        ("status: [active, completed, stopped]", True),
        ("status: [active]", False),
        ("category: all", False),
        ("category: [outpatient, clinic-list]", True),
    ],
)
def test_a_list_without_what_patients_report_or_have_stopped_is_a_list_in_part(
    say: Callable[[str], Path], with_: str, whole: bool
) -> None:
    (form,) = queries(say(f"{{MedicationRequest: {{with: {{{with_}}}}}}}"))

    assert [each.whole for each in form.added] == [whole]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{Procedure: {}}", "queries.Procedure: must be one of *, Condition, Consent"),
        ("{Condition: {wth: {}}}", "wth: unknown field; did you mean `with`?"),
        ("{Condition: {added: {}}}", "added: unknown field"),
        ("{Condition: {without: [patient]}}", "input should be '_count', '_include'"),
        (
            "{Condition: {with: {intent: all}}}",
            "of Condition, with can name category, clinical-status; not intent",
        ),
        ('{"*": {with: {status: all}}}', "of *, with can name nothing; not status"),
        (
            "{MedicationRequest: {with: {intent: [orders]}}}",
            "intent of MedicationRequest is one of order, plan, original-order",
        ),
        (
            "{MedicationRequest: {with: {intent: ['order&patient=p2']}}}",
            "string should match pattern",
        ),
        ("{Condition: {with: {category: order}}}", "input should be a valid tuple"),
        ("{Medication: {as_reads: 1}}", "input should be a valid boolean"),
    ],
)
def test_a_fault_is_named_with_its_place(
    say: Callable[[str], Path], text: str, expected: str
) -> None:
    found = problem(say(text))

    assert expected in found
    assert found.startswith("clients.yaml:") and "clients[0].queries" in found
