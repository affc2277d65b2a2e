"""The hook library, against the published definitions."""

import pytest

from cds_service.protocol.hooks import HOOKS, FieldKind, build_own_hook

PUBLISHED = {
    "patient-view": "1.0",
    "encounter-start": "1.0",
    "encounter-discharge": "1.0",
    "appointment-book": "1.0",
    "order-select": "1.0",
    "order-sign": "1.0",
    "order-dispatch": "1.1",
    "medication-refill": "0.1.0",
    "medication-verify": "0.1.0",
    "problem-list-item-create": "0.1.0",
    "allergyintolerance-create": "0.1.0",
    "medication-prescribe": "1.0",
    "order-review": "1.0",
}


def test_v_2_every_hook_has_the_version_of_its_published_definition() -> None:
    assert {name: hook.version for name, hook in HOOKS.items()} == PUBLISHED


@pytest.mark.parametrize(
    ("hook", "required", "optional"),
    [
        ("patient-view", "userId patientId", "encounterId"),
        ("encounter-start", "userId patientId encounterId", ""),
        ("encounter-discharge", "userId patientId encounterId", ""),
        ("appointment-book", "userId patientId appointments", "encounterId"),
        ("order-select", "userId patientId selections draftOrders", "encounterId"),
        ("order-sign", "userId patientId draftOrders", "encounterId"),
        ("order-dispatch", "patientId dispatchedOrders performer", "fulfillmentTasks"),
        ("medication-refill", "patientId medications", "userId encounterId"),
        ("medication-verify", "userId patientId medication", "encounterId"),
        ("problem-list-item-create", "userId patientId conditions", "encounterId"),
        (
            "allergyintolerance-create",
            "userId patientId allergyIntolerance",
            "encounterId",
        ),
        ("medication-prescribe", "userId patientId medications", "encounterId"),
        ("order-review", "userId patientId orders", "encounterId"),
    ],
)
def test_every_hook_has_the_context_of_its_published_definition(
    hook: str, required: str, optional: str
) -> None:
    definition = HOOKS[hook]

    assert " ".join(each.name for each in definition.required) == required
    assert " ".join(each.name for each in definition.optional) == optional


def test_h_11_two_hooks_are_deprecated() -> None:
    deprecated = {hook.name for hook in HOOKS.values() if hook.deprecated}

    assert deprecated == {"medication-prescribe", "order-review"}


def test_only_patient_view_is_forgiven_a_missing_user() -> None:
    forgiven = {
        (hook.name, field.name)
        for hook in HOOKS.values()
        for field in hook.fields
        if field.forgiven
    }

    assert forgiven == {("patient-view", "userId")}


def test_only_fields_of_primitives_can_be_prefetch_tokens() -> None:
    kinds = {
        field.kind for hook in HOOKS.values() for field in hook.fields if field.token
    }

    assert kinds == {FieldKind.ID, FieldKind.REFERENCE, FieldKind.REFERENCES}


def test_h_2_a_hook_of_ones_own_is_about_a_patient() -> None:
    own = build_own_hook("org.example.wearable-alert")

    assert [field.name for field in own.required] == ["patientId"]
    assert own.version == ""
