"""What a patient has is written out whole, and goes whole; others' stays."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cds_service.store.records import AuditEvent, Intake
from cds_service.store.samples import belongings
from cds_service.store.samples.records import (
    HeldBatch,
    SampleBatch,
    StreamOwner,
    UnknownWearer,
)
from cds_service.store.store import Store
from cds_service.store.tables import (
    CALLS,
    CARDS,
    FEEDBACK,
    PATIENT_KEYS,
    SUPPRESSIONS,
)
from cds_service.store.upkeep.patients import BY_CONSENT, Asked
from cds_service.store.upkeep.pruning import Keep
from cds_service.store.workbench.tables import EVERY_TABLE
from cds_service.wearables.samples import Removal, Sample

from .conftest import EIGHT, NOW
from .test_links import EVENT, JANE, JOHN, kept, link

MakeSample = Callable[..., Sample]
Rows = Callable[[str], list[dict[str, Any]]]
THEIRS = {
    **{"sample_streams": 1, "sample_devices": 1, "samples": 2, "sample_revisions": 1},
    **{"sample_removals": 1, "links": 1, "link_tokens": 1, "quarantine": 1},
    **{"day_summaries": 1, "detector_days": 1, "own_limits": 1, "detection_due": 1},
    **{"imports": 1, "grants": 1, "pulls": 1, "wanted_intervals": 1, "sign_ins": 1},
    **{"notification_subscriptions": 1},
    **{"smart_sessions": 1, "smart_tokens": 1, "smart_tickets": 1},
}
"""Rows of each of the two patients."""


DAYS = (
    "INSERT INTO day_summaries (tenant, fhir_base, patient_id, metric, day, part,"
    " source, zone, bands, sources, devices, minutes, n, version, computed_us) VALUES"
    " (%s, 'heart-rate', '2026-11-21', 'day', '', 'UTC', '{}', '[]', '[]', 1440, 1, 1,"
    " 0)",
    "INSERT INTO detector_days (tenant, fhir_base, patient_id, detector, day, source,"
    " judged, not_judged, opened) VALUES (%s, 'd', '2026-11-21', 'cloud', 1, '{}', 0)",
    'INSERT INTO own_limits (tenant, fhir_base, patient_id, detector, "value",'
    " since_us, set_by, \"set\") VALUES (%s, 'd', 110, 0, 'me', '')",
    "INSERT INTO imports (tenant, fhir_base, patient_id, source, basis, items,"
    " taken_in) VALUES (%s, 'apple-health', '', 5000, '')",
    "INSERT INTO detection_due (tenant, fhir_base, patient_id, metric, from_us, to_us,"
    " noted_us, why) VALUES (%s, 'heart-rate', 0, 1, 0, '')",
)

CAME = (
    "INSERT INTO smart_sessions (tenant, fhir_base, patient_id, id, key_hash, launch,"
    " client, scopes, sealed, why_ended, opened_us, idle_until_us, until_us) VALUES"
    " (%s, '%n', '', '%n', 'ehr', '[]', 'sealed', '', 0, 1, 1)",
    "INSERT INTO smart_tokens (launch, access, refresh, epoch, held_until_us) VALUES"
    " ('%n', 'sealed', 'sealed', 1, 0)",
    "INSERT INTO smart_tickets (ticket_hash, session, until_us) VALUES"
    " ('%n', '%n', 1)",
)
PERMITTED = (
    'INSERT INTO grants (id, tenant, source, "user", vendor_user, scopes, access,'
    " refresh, state, why, granted, epoch, holder, held_until_us) VALUES (%n, 'north',"
    " 'cloud', '%u', 'v%u', '[]', 'sealed', 'sealed', 'active', '',"
    " '2026-11-20T00:00:00Z', 1, '', 0)",
    'INSERT INTO pulls ("grant", kind, until, due_us, failures, problem) VALUES (%n,'
    " 'steps', '2026-11-21', 0, 0, '')",
    'INSERT INTO wanted_intervals (tenant, source, "user", kind, start_us, end_us,'
    " noted_us) VALUES ('north', 'cloud', 'v%u', 'steps', 0, 1, 0)",
    'INSERT INTO sign_ins (state, tenant, source, "user", verifier, redirect_uri,'
    " outcome, until_us) VALUES ('%n', 'north', 'cloud', '%u', 'sealed', '', '', 0)",
    'INSERT INTO notification_subscriptions (tenant, source, "user", base, asked,'
    " problem, due_us, failures) VALUES ('north', 'cloud', '%u', '', '', '', 0, 0)",
)


@pytest.fixture
def wearers(store: Store, make_sample: MakeSample, rows: Rows) -> Store:
    """Two who have everything: samples, one revised, a token, something held, days."""
    for patient in (JANE, JOHN):
        number = str(1 + (patient == JOHN))
        for statement in (*DAYS, *CAME):
            key = ", ".join(f"'{each}'" for each in patient)
            rows(statement.replace("%s", key).replace("%n", number))
        user = patient.patient_id
        for statement in PERMITTED:
            rows(statement.replace("%n", number).replace("%u", user))
        made = store.links.add(link(patient, user=user), EVENT)
        store.wearer_tokens.issue(made, ["samples"], EVENT)
        owner = StreamOwner(patient, "cloud", made.id)
        told = [make_sample(), make_sample(1, 61.0), make_sample(value=75.0)]
        batch = SampleBatch(owner, [*told, Removal(source_id=f"of {user}")])
        early = [make_sample(start=EIGHT - timedelta(days=3))]
        held = (
            HeldBatch(UnknownWearer("north", "cloud", user, "w"), "f", told[1:2]),
            HeldBatch(UnknownWearer("north", "cloud", user, "x"), "f", early),
        )
        for items in (batch, SampleBatch(owner, [make_sample(value=77.0)])):
            intake = Intake(samples=(items,), held=held)
            store.take_in(intake, AuditEvent(NOW, "delivery"), NOW)
    return store


def test_everything_of_a_patient_is_written_out(wearers: Store) -> None:
    found = [
        each
        for each in wearers.patients.export(Asked(JANE, "me", NOW))
        if each["table"] != "audit"
    ]

    counted: dict[str, int] = {}
    for each in found:
        counted[each["table"]] = counted.get(each["table"], 0) + 1
    assert counted == THEIRS
    whole = json.dumps(found)
    assert "jane" in whole and "john" not in whole


def test_everything_of_a_patient_is_erased_and_nothing_of_another(
    wearers: Store, rows: Rows
) -> None:
    done = wearers.patients.erase(Asked(JANE, "me", NOW), calls=False)

    assert {name: done.removed[name] for name in THEIRS} == THEIRS
    assert not set(done.left) & set(THEIRS)
    assert (kept(wearers), kept(wearers, JOHN)) == ([], [77, 61])
    for table, number in THEIRS.items():
        # What is held of before the link began is not known to be hers.
        left = number + 2 * (table == "quarantine")
        assert len(rows(f"SELECT * FROM {table}")) == left, table


def test_more_samples_than_one_transaction_takes_are_written_and_erased(
    store: Store, make_sample: MakeSample
) -> None:
    second = timedelta(seconds=1)
    told = [
        replace(make_sample(), start=EIGHT + second * n, end=EIGHT + second * n)
        for n in range(10_001)
    ]
    batch = SampleBatch(StreamOwner(JANE, "watch"), told)
    store.take_in(Intake(samples=(batch,)), AuditEvent(NOW, "delivery"), NOW)

    found = [
        each["start_us"]
        for each in store.patients.export(Asked(JANE, "me", NOW))
        if each["table"] == "samples"
    ]
    done = store.patients.erase(Asked(JANE, "me", NOW), calls=False)

    assert len(set(found)) == len(found) == done.removed["samples"] == 10_001


def prune(store: Store, keep: Keep) -> dict[str, int]:
    gone: dict[str, int] = {}
    for step in store.pruning.steps(keep, NOW):
        gone[step.what] = gone.get(step.what, 0) + step.rows
    return gone


def test_samples_go_by_when_they_were_measured_and_nothing_else(
    wearers: Store, make_sample: MakeSample
) -> None:
    long_ago = make_sample(start=NOW - timedelta(days=401), end=NOW)
    batch = SampleBatch(StreamOwner(JANE, "watch"), [long_ago])
    wearers.take_in(Intake(samples=(batch,)), AuditEvent(NOW, "delivery"), NOW)
    keep = Keep(samples=timedelta(days=400))

    assert wearers.pruning.count(keep, NOW)["samples"] == 1
    assert prune(wearers, keep) == {"samples": 1}
    assert prune(wearers, keep) == {}

    assert kept(wearers) == [77, 61]


def test_with_samples_go_their_revisions_and_removals(wearers: Store) -> None:
    gone = prune(wearers, Keep(samples=timedelta(minutes=-1)))

    assert gone == {"samples": 4, "sample_revisions": 2, "sample_removals": 2}
    assert kept(wearers) == []


def test_a_removal_of_what_may_still_come_stays(store: Store) -> None:
    gone = Removal(metric="m", start=EIGHT, end=NOW + timedelta(days=1))
    batch = SampleBatch(StreamOwner(JANE, "watch"), [gone])
    store.take_in(Intake(samples=(batch,)), AuditEvent(NOW, "delivery"), NOW)

    assert prune(store, Keep(samples=timedelta(minutes=-1))) == {}


def test_days_outlive_the_samples_and_go_after_days_of_their_own(
    wearers: Store,
) -> None:
    keep = Keep(summaries=NOW - EIGHT)
    told = {"day_summaries": 2, "detector_days": 2}

    assert prune(wearers, Keep(summaries=timedelta(days=1))) == {}
    assert wearers.pruning.count(keep, NOW) == {**told, "outbox": 0, "told": 0}
    assert prune(wearers, keep) == told


def test_what_is_held_of_nobody_goes_after_its_days(wearers: Store) -> None:
    keep = Keep(quarantine=timedelta(minutes=-1))

    assert prune(wearers, Keep(quarantine=timedelta(days=1))) == {}
    assert wearers.pruning.count(keep, NOW) == {"quarantine": 4}
    assert prune(wearers, keep) == {"quarantine": 4}


def test_old_samples_go_some_at_a_time(store: Store, make_sample: MakeSample) -> None:
    moment = timedelta(milliseconds=1)
    told = [
        replace(make_sample(), start=EIGHT + moment * n, end=EIGHT + moment * n)
        for n in range(5_001)
    ]
    batch = SampleBatch(StreamOwner(JANE, "watch"), told)
    store.take_in(Intake(samples=(batch,)), AuditEvent(NOW, "delivery"), NOW)

    steps = store.pruning.steps(Keep(samples=timedelta(minutes=-1)), NOW)

    assert [each.rows for each in steps if each.what == "samples"] == [5000, 1]


NOBODYS = {
    *("spent_tokens", "deliveries", "rulebooks", "publications", "refusals"),
    *("configurations", "leases", "probes", "marks", "unfinished_copies"),
    *("audit_seals", "audit", "destinations", "identifiers", "pending_sign_ins"),
    *("workbench_links", "workbench_sessions", "workbench_runs", "workbench_keys"),
}
"""Tables without a patient; of the trail bodies are erased."""


def test_what_is_kept_of_a_patient_is_in_tables_that_an_erasure_reaches() -> None:
    """A new table is either no patient's, or in one of the lists that are erased."""
    reached = {each.name for each in (*BY_CONSENT, *belongings.TABLES)}
    with_calls = (CALLS, CARDS, FEEDBACK, SUPPRESSIONS, PATIENT_KEYS)
    reached |= {each.name for each in with_calls}

    assert {each.name for each in EVERY_TABLE} - NOBODYS == reached


def test_no_token_and_no_verifier_is_ever_written_out(wearers: Store) -> None:
    told = list(wearers.patients.export(Asked(JANE, "operator", NOW)))

    (grant,) = [each for each in told if each["table"] == "grants"]
    (sign_in,) = [each for each in told if each["table"] == "sign_ins"]
    assert (grant["user"], grant["state"]) == (JANE.patient_id, "active")
    assert not {"access", "refresh", "verifier"} & {*grant, *sign_in}


def test_a_grant_of_a_user_who_is_another_patient_by_now_stays(
    wearers: Store, rows: Rows
) -> None:
    (old,) = wearers.links.of_patient(JANE)
    wearers.links.end(old.id, EIGHT, EVENT)
    wearers.links.add(replace(link(JOHN, user=JANE.patient_id), since=EIGHT), EVENT)

    wearers.patients.erase(Asked(JANE, "operator", NOW), calls=False)

    assert [each["id"] for each in rows("SELECT id FROM grants ORDER BY id")] == [1, 2]
