"""What is otherwise than at the last start: with old and new, and in words."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cds_service.audit import (
    build_configuration_event,
    compare_inventories,
    describe_change,
)
from cds_service.store.configurations import Configuration

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BEFORE: dict[str, Any] = {
    "client.ehr.id": "ehr",
    "client.ehr.iss": "https://ehr.example",
    "client.ehr.keys": ["k1 aaaa ES384", "k2 bbbb ES384"],
    "settings.public_url": "https://cds.example",
    "settings.tls_cert": None,
    "webhook.watch.id": "watch",
    "webhook.watch.secrets": ["012345678901"],
}


def changed(**changes: Any) -> dict[str, Any]:
    """The inventory with other entries; without those that are None."""
    named = {name.replace("__", "."): each for name, each in changes.items()}
    return {
        name: each
        for name, each in {**BEFORE, **named}.items()
        if name not in named or each is not None
    }


def without(prefix: str) -> dict[str, Any]:
    return {name: BEFORE[name] for name in BEFORE if not name.startswith(prefix)}


def test_a_removed_key_and_a_changed_setting_are_told_with_old_and_new() -> None:
    after = changed(
        client__ehr__keys=["k1 aaaa ES384"],
        settings__public_url="https://other.example",
    )

    change = compare_inventories(BEFORE, after)

    assert (change.added, change.removed) == ({}, {})
    assert change.changed == {
        "client.ehr.keys": (["k1 aaaa ES384", "k2 bbbb ES384"], ["k1 aaaa ES384"]),
        "settings.public_url": ("https://cds.example", "https://other.example"),
    }


def test_a_client_that_comes_or_goes_is_told_whole() -> None:
    after = without("client.ehr.")

    gone, come = compare_inventories(BEFORE, after), compare_inventories(after, BEFORE)

    whole = {name: BEFORE[name] for name in BEFORE if name.startswith("client.ehr.")}
    assert (gone.removed, gone.added, gone.changed) == (whole, {}, {})
    assert (come.added, come.removed, come.changed) == (whole, {}, {})


def test_the_event_names_server_release_and_both_digests() -> None:
    before = Configuration("node", BEFORE, "2026-11-01T00:00:00.000000Z", 1)
    after = Configuration("node", changed(settings__tls_cert="/etc/cert.pem"))

    event = build_configuration_event(NOW, after, before, "0.1.0")

    assert (event.at, event.kind, event.client) == (NOW, "configuration", "node")
    assert event.patient is None
    assert event.detail == {
        "server": "node",
        "digest": after.digest,
        "previous": before.digest,
        "release": "0.1.0",
        "added": {},
        "removed": {},
        "changed": {"settings.tls_cert": (None, "/etc/cert.pem")},
    }


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (BEFORE, BEFORE, ""),
        (
            without("client."),
            changed(settings__public_url="x"),
            "clients added: ehr; settings: public_url",
        ),
        (BEFORE, without("webhook."), "webhooks removed: watch"),
        (
            BEFORE,
            changed(client__ehr__iss="x", client__ehr__keys=[]),
            "clients changed: ehr",
        ),
        (
            BEFORE,
            {**BEFORE, "settings.tls_cert": "x", "settings.tls_cert.sha256": "y"},
            "settings: tls_cert",
        ),
        (
            BEFORE,
            {**BEFORE, 'client."a.b".id': "a.b", 'client."a.b".iss': "i"},
            "clients added: a.b",
        ),
        (
            BEFORE,
            {**BEFORE, "anonymous.id": "anonymous", "anonymous.tenant": "default"},
            "clients added: anonymous",
        ),
        (BEFORE, {**BEFORE, "later.kind": 1}, "later: kind"),
        (
            {},
            {f"settings.s{number:02}": 1 for number in range(10)},
            "settings: s00, s01, s02, s03, s04, s05, s06, s07 and 2 more",
        ),
    ],
)
def test_a_change_is_told_in_a_line_without_a_value(
    before: dict[str, Any], after: dict[str, Any], expected: str
) -> None:
    assert describe_change(compare_inventories(before, after)) == expected
