"""What patients permit to be shown of their wearables, in a call from end to end."""

import json
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from cds_service.audit import build_consent_event
from cds_service.config import Clients, Config, ConsentMode
from cds_service.decision import Answer, World, answer
from cds_service.decision.consenting import (
    Heeded,
    active_detectors,
    find_wearables,
    heed_consents,
    open_gate,
)
from cds_service.fhir.chart import Chart, Source, SourceState
from cds_service.protocol.errors import Unavailable, UnmetPrecondition
from cds_service.protocol.requests import parse_request
from cds_service.rulebook.engine.rows.selectors import Selector, Unjudged
from cds_service.rulebook.engine.rulebook import Rulebook
from cds_service.rulebook.load import check_folder
from cds_service.starting import build_world
from cds_service.store.consents import Consents
from cds_service.store.records import Attempt, AuditEvent, Intake, StoredAnswer
from cds_service.store.store import Store
from cds_service.wearables.adapters.consents import keep_consent
from cds_service.wearables.consent_gate import ConsentGate, plan_change
from cds_service.wearables.detection.episodes import DayTally, NotJudged
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.worn import Wearables, WearablesAsked

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
RULES = Path(__file__).parents[2] / "rules"
KEY = ("wearable-review", "patient-view")
P1 = PatientKey("default", "-", "p1")
ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"
RULE = "beta-blocker-resting-tachycardia"
ALERT = WearableAlert(
    id="a-1",
    patient=P1,
    type="high-resting-heart-rate",
    start=NOW - timedelta(hours=2),
    opened=NOW,
    metric="resting_heart_rate",
    value=112,
    unit="/min",
    stat="median",
    source="watch",
    coverage=0.9,
    n=100,
)


def consent(
    *actions: str, id: str = "c1", status: str = "active", hour: int = 9, **more: Any
) -> dict[str, Any]:
    named = [{"coding": [{"system": ACTIONS, "code": each}]} for each in actions]
    return {
        "resourceType": "Consent",
        "id": id,
        "meta": {"lastUpdated": f"2026-11-01T{hour:02}:00:00Z"},
        "status": status,
        "patient": {"reference": "Patient/p1"},
        "provision": {"type": "permit", "action": named, **more},
    }


ALL = consent("collect", "use", "disclose")
WITHDRAWN = consent("collect", "use", "disclose", status="inactive", hour=10)


def searchset(*resources: Any, **members: Any) -> dict[str, Any]:
    entries = [{"resource": each} for each in resources]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries, **members}


BETA_BLOCKER = {
    "resourceType": "MedicationRequest",
    "id": "m1",
    "status": "active",
    "intent": "order",
    "subject": {"reference": "Patient/p1"},
    "authoredOn": "2026-01-01",
    "medicationCodeableConcept": {
        "coding": [
            {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "6918"}
        ]
    },
}
PREFETCH = {
    "patient": {"resourceType": "Patient", "id": "p1", "birthDate": "1958-03-14"},
    "conditions": searchset(),
    "medication-requests": searchset(BETA_BLOCKER),
    "medication-statements": None,
    "observations": None,
}


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Rulebook]:
    """Gives the shipped rules, by how much the services ask the EHR for consents."""

    @cache
    def read(policy: str) -> Rulebook:
        rules = copytree(RULES, tmp_path_factory.mktemp(policy) / "rules")
        services = rules / "services.yaml"
        asked = services.read_text().replace("consents: skip", f"consents: {policy}")
        services.write_text(asked)
        rulebook = check_folder(rules).rulebook
        assert rulebook is not None
        return rulebook

    return read


@pytest.fixture
def open_world(
    book: Callable[[str], Rulebook], url: str
) -> Iterator[Callable[..., World]]:
    """Makes a server at NOW with a lasting alert, whose services ask for consents."""
    opened = []

    def make(policy: str = "skip", mode: str = "required") -> World:
        config = Config(
            profile="development",
            auth="off",
            database_url=url,
            wearables_consent=ConsentMode(mode),
        )
        world = replace(build_world(config, book(policy)), clock=lambda: NOW)
        opened.append(world)
        deliver(world, ALERT)
        return world

    yield make
    for world in opened:
        world.store.close()
        world.fhir.close()


@pytest.fixture
def world(open_world: Callable[..., World]) -> World:
    return open_world()


def deliver(world: World, alert: WearableAlert) -> None:
    event, key = AuditEvent(NOW, "delivery"), f"{alert.id}-{alert.rev}"
    attempt = Attempt("watch", key)
    world.store.begin_delivery(attempt, "d", NOW)
    world.store.finish_delivery(
        attempt, StoredAnswer(202, "{}"), Intake((alert,)), event, NOW
    )


def tell(world: World, *resources: dict[str, Any]) -> None:
    """What a webhook has told of the patient's Consents."""
    known = world.store.consents.of([P1])[P1]
    told = [keep_consent(each, P1, "app") for each in resources]
    lasting = world.store.consents.lasting_alerts(P1)
    gate = world.consent_gate("default")
    change = plan_change(P1, known, told, lasting, gate, NOW)
    event = build_consent_event(NOW, "default", "app", [change], {})
    world.store.consents.record([change], event)


def ask(world: World, **prefetch: Any) -> Answer:
    client = world.clients.anonymous
    assert client is not None
    body = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/7", "patientId": "p1"},
        "prefetch": {**PREFETCH, **prefetch},
    }
    request = parse_request(body, https_only=False)
    return answer(world.rulebook.services[KEY], request, client, world)


def rules_of(found: Answer) -> list[str]:
    """The rules of the cards that are shown."""
    return [
        (
            each.extension["org.cds-service.rule"]["id"]
            if "org.cds-service.rule" in each.extension
            else "unchecked"
        )
        for each in found.cards
    ]


def recorded(world: World) -> Any:
    """What the newest row of the trail says of consents."""
    return json.loads(list(world.store.audit_entries())[-1].detail)["consent"]


def test_rules_hear_the_detectors_that_are_active(world: World) -> None:
    known = world.rulebook.detectors

    active = active_detectors(world.rulebook)

    assert {name for name in known if name not in active} == {
        name for name, each in known.items() if each.status == "shadow"
    }
    assert active["low-glucose"] is known["low-glucose"]


@dataclass
class Told:
    """A store in which detectors have told of days that they could not judge."""

    consents: Consents
    asked: list[WearablesAsked] = field(default_factory=list)

    def wearables(
        self, patient: PatientKey, asked: WearablesAsked, now: datetime
    ) -> Wearables:
        self.asked.append(asked)
        day, why = NOW.date() - timedelta(days=1), {NotJudged.REST_UNKNOWN: 3}
        tallies = (DayTally(each, day, "watch", 0, why) for each in asked.detectors)
        return Wearables((), (), (), tuple(tallies))


def find_unjudged(world: World, store: Told, *detectors: str) -> Heeded:
    """What a service may look at whose rules ask of the days of these detectors."""
    service = world.rulebook.services[KEY]
    program = copy(service.program)
    program.worn = tuple(
        (Selector("stream", worn=Unjudged(each, frozenset())), None)
        for each in detectors
    )
    found: Any = store
    return find_wearables(
        replace(service, program=program),
        Chart("p1", None, {}),
        P1,
        world.rulebook,
        found,
        world.consent_gate("default"),
        NOW,
    )


def test_what_a_detector_could_not_judge_is_seen_as_its_metric_is_permitted(
    world: World,
) -> None:
    store = Told(world.store.consents)
    names = ("low-glucose", "falling-steps")

    withheld = find_unjudged(world, store, *names)
    tell(world, ALL)
    permitted = find_unjudged(world, store, *names)

    # The other is only tried, and rules hear nothing of it.
    assert [list(each.detectors) for each in store.asked] == [["low-glucose"]] * 2
    assert withheld.wearables.tallies == ()
    (seen,) = permitted.wearables.tallies or ()
    assert (seen.detector, seen.source) == ("low-glucose", "watch")


def test_a_service_that_asks_nothing_of_wearables_is_told_nothing(
    world: World,
) -> None:
    store = Told(world.store.consents)

    assert find_unjudged(world, store) == Heeded(Wearables())
    assert store.asked == []


def test_without_a_consent_an_alert_is_in_no_card_and_nothing_is_said_of_it(
    world: World,
) -> None:
    found = ask(world)

    assert (rules_of(found), found.withheld) == ([], 1)
    assert recorded(world) == {
        "state": "withheld",
        "withheld": 1,
        "disclose": True,
    }


def test_under_a_consent_to_use_it_is(world: World) -> None:
    tell(world, consent("collect", "use"))

    assert rules_of(ask(world)) == [RULE]
    assert recorded(world)["state"] == "permitted"
    assert recorded(world)["consents"] == ["c1"]


def test_a_consent_to_collect_is_none_to_use(world: World) -> None:
    tell(world, consent("collect", "disclose"))

    assert rules_of(ask(world)) == []


def test_a_consent_for_other_data_is_none_for_these(world: World) -> None:
    glucose = [{"coding": [{"system": "http://loinc.org", "code": "99504-3"}]}]
    tell(world, consent("collect", "use", code=glucose))

    assert rules_of(ask(world)) == []


def test_who_withdraws_is_heard_by_the_next_call(world: World) -> None:
    tell(world, ALL)
    assert rules_of(ask(world)) == [RULE]

    tell(world, WITHDRAWN)

    assert rules_of(ask(world)) == []


def test_who_withdraws_while_a_call_is_answered_is_heard_by_that_call(
    world: World,
) -> None:
    tell(world, ALL)

    class Withdrawing(Store):
        def record_call(self, *parts: Any) -> None:
            tell(world, WITHDRAWN)
            Store.record_call(self, *parts)

    store = Withdrawing.open(world.config.database_url)
    with pytest.raises(Unavailable):
        ask(replace(world, store=store))
    store.close()


def test_a_stricter_version_of_the_same_age_is_heard_as_well(world: World) -> None:
    tell(world, ALL)

    class Withdrawing(Store):
        def record_call(self, *parts: Any) -> None:
            tell(world, {**ALL, "status": "inactive"})
            Store.record_call(self, *parts)

    store = Withdrawing.open(world.config.database_url)
    with pytest.raises(Unavailable):
        ask(replace(world, store=store))
    store.close()


def test_each_tenant_is_asked_for_by_the_names_of_its_own_hospital(
    book: Callable[[str], Rulebook],
) -> None:
    rulebook = book("skip")
    clients = Clients(consent_actors={"north": frozenset({"Organization/n"})})

    def gate(tenant: str, mode: ConsentMode) -> ConsentGate:
        return open_gate(rulebook, clients, tenant, mode)

    zone = rulebook.site.time_zone
    assert gate("north", ConsentMode.REQUIRED) == ConsentGate(
        rulebook.catalogue, zone, frozenset({"Organization/n"}), False
    )
    assert gate("south", ConsentMode.ASSUMED) == ConsentGate(
        rulebook.catalogue, zone, frozenset(), True
    )


def test_a_consent_that_was_over_before_the_call_permits_nothing(world: World) -> None:
    tell(world, consent("use", period={"start": "2026-01-01", "end": "2026-11-21"}))
    gate = world.consent_gate("default")

    heeded = heed_consents(P1, Wearables((ALERT,)), None, world.store, gate, NOW)

    assert heeded.wearables.alerts == ()


def test_what_a_patient_lets_be_disclosed_may_be(world: World) -> None:
    tell(world, consent("use", "disclose", period={"start": "2026-01-01"}))
    gate = world.consent_gate("default")

    heeded = heed_consents(P1, Wearables((ALERT,)), None, world.store, gate, NOW)

    assert (heeded.wearables.alerts, heeded.may_disclose) == ((ALERT,), True)


def test_where_the_ehr_did_not_tell_all_nothing_is_gone(world: World) -> None:
    gate = world.consent_gate("default")
    whole = Source("consents", SourceState.LOADED, (ALL,))
    told = heed_consents(P1, Wearables((ALERT,)), whole, world.store, gate, NOW)
    assert told.use and told.use.change
    event = build_consent_event(NOW, "default", "ehr", [told.use.change], {})
    world.store.consents.record([told.use.change], event)

    partial = Source("consents", SourceState.PARTIAL, ())
    heeded = heed_consents(P1, Wearables((ALERT,)), partial, world.store, gate, NOW)

    assert heeded.wearables.alerts is None
    assert heeded.use and heeded.use.change is None


def test_where_no_alert_is_stored_no_consent_is_looked_at(world: World) -> None:
    other = PatientKey("default", "-", "p2")
    gate = world.consent_gate("default")

    heeded = heed_consents(other, Wearables(()), None, world.store, gate, NOW)

    assert (heeded.wearables.alerts, heeded.use) == ((), None)


def test_where_consent_is_assumed_an_alert_is_used_until_the_patient_objects(
    open_world: Callable[..., World],
) -> None:
    world = open_world(mode="assumed")
    assert rules_of(ask(world)) == [RULE]

    tell(world, WITHDRAWN)

    assert rules_of(ask(world)) == []


# Asked of the EHR


def test_what_the_ehr_tells_is_heeded_and_stored_with_the_call(
    open_world: Callable[..., World],
) -> None:
    world = open_world("optional")

    assert rules_of(ask(world, consents=searchset(ALL))) == [RULE]

    (kept,) = world.store.consents.of([P1])[P1]
    assert (kept.id, kept.source) == ("c1", "FHIR server")
    assert recorded(world)["told"] == [
        ["p1", "c1", "2026-11-01T09:00:00.000000Z", "active"]
    ]
    assert ask(world, consents=searchset(ALL)).cards
    assert "told" not in recorded(world)


def test_what_the_ehr_withdraws_ends_what_lasts(
    open_world: Callable[..., World],
) -> None:
    world = open_world("optional")
    tell(world, ALL)
    deliver(world, replace(ALERT, rev=1))

    assert rules_of(ask(world, consents=searchset(WITHDRAWN))) == []

    assert recorded(world)["ended"] == [["p1", "watch", "a-1"]]
    assert world.store.consents.lasting_alerts(P1) == ()


def test_what_the_ehr_has_no_longer_is_gone_and_what_a_webhook_told_stays(
    open_world: Callable[..., World],
) -> None:
    world = open_world("optional")
    tell(world, consent("collect", id="c9"))
    ask(world, consents=searchset(ALL))

    assert rules_of(ask(world, consents=None)) == []

    assert recorded(world)["gone"] == [["p1", "c1"]]
    assert [each.id for each in world.store.consents.of([P1])[P1]] == ["c9"]


WITHHELD = {"severity": "warning", "code": "suppressed"}


@pytest.mark.parametrize(
    "consents",
    [
        {"resourceType": "OperationOutcome", "issue": []},
        searchset(ALL, link=[{"relation": "next", "url": "https://x.example/2"}]),
        searchset(ALL, {"resourceType": "Consent", "status": "active"}),
        searchset({**ALL, "id": "a b"}),
        searchset(ALL, {"resourceType": "OperationOutcome", "issue": [WITHHELD]}),
        searchset({"resourceType": "OperationOutcome", "issue": [WITHHELD]}),
    ],
)
def test_where_the_ehr_did_not_say_all_no_alert_is_used_and_a_card_says_so(
    open_world: Callable[..., World], consents: Any
) -> None:
    world = open_world("optional")
    tell(world, consent("collect", "use", id="c0"))

    found = ask(world, consents=consents)

    assert rules_of(found) == ["unchecked"]
    assert "wearable alerts could not be read" in found.cards[0].detail
    assert recorded(world)["state"] == "not read"
    assert [each.id for each in world.store.consents.of([P1])[P1]] == ["c0"]


def test_where_the_ehr_did_not_say_all_and_there_are_no_alerts_nothing_is_said(
    open_world: Callable[..., World],
) -> None:
    world = open_world("optional")
    broken = {"resourceType": "OperationOutcome", "issue": []}
    deliver(world, replace(ALERT, rev=1, status="retracted"))

    assert rules_of(ask(world, consents=broken)) == []
    assert recorded(world)["state"] == "permitted"


def test_a_service_may_require_to_be_told(open_world: Callable[..., World]) -> None:
    world = open_world("required")

    with pytest.raises(UnmetPrecondition) as refused:
        ask(world)

    assert refused.value.problems[0].diagnostics == "consents"


def test_of_two_alerts_the_one_is_used_that_the_patient_permits(
    world: World,
) -> None:
    resting = [{"coding": [{"system": "http://loinc.org", "code": "40443-4"}]}]
    tell(world, consent("use", code=resting))
    irregular = replace(ALERT, id="a-2", type="irregular-rhythm")
    gate = world.consent_gate("default")

    heeded = heed_consents(
        P1, Wearables((irregular, ALERT)), None, world.store, gate, NOW
    )

    assert heeded.wearables.alerts == (ALERT,)
    assert heeded.may_disclose is False
    assert heeded.use is not None
    assert (heeded.use.state, heeded.use.withheld) == ("part", 1)
    assert heeded.use.may_disclose is False


def test_a_consent_of_another_patient_permits_nothing(
    open_world: Callable[..., World],
) -> None:
    world = open_world("optional")
    foreign = {**ALL, "patient": {"reference": "Patient/p2"}}

    found = ask(world, consents=searchset(foreign))

    assert rules_of(found) == []
    assert found.chart.sources["consents"].foreign == 1
    assert world.store.consents.of([P1])[P1] == ()


@pytest.mark.parametrize("meta", [{}, {"lastUpdated": "2036-11-01T09:00:00Z"}])
def test_a_version_without_its_time_or_of_the_future_is_as_old_as_its_reading(
    world: World, meta: dict[str, str]
) -> None:
    gate = world.consent_gate("default")
    source = Source("consents", SourceState.LOADED, ({**ALL, "meta": meta},))

    heeded = heed_consents(P1, Wearables((ALERT,)), source, world.store, gate, NOW)

    assert heeded.use and heeded.use.change
    assert [each.updated for each in heeded.use.change.kept] == [NOW]
    assert heeded.wearables.alerts == (ALERT,)


SCALE = {
    "resourceType": "Condition",
    "id": "c9",
    "subject": {"reference": "Patient/p1"},
    "code": {
        "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "I50.22"}]
    },
    "clinicalStatus": {"coding": [{"code": "active"}]},
}
GAIN = replace(
    ALERT,
    id="g-1",
    type="rapid-weight-gain",
    metric="body-weight",
    value=82.5,
    unit="kg",
    start=NOW - timedelta(days=2),
)
DAY = (
    "INSERT INTO day_summaries (tenant, fhir_base, patient_id, metric, day, part,"
    " source, zone, minutes, n, mean, bands, sources, devices, version, computed_us)"
    " VALUES ('default', '-', 'p1', 'body-weight', '{day}', 'day', '', 'UTC', 1440, 1,"
    " {mean}, '{{}}', '[\"scale\"]', '[\"Scale\"]', 1, 0)"
)


def test_a_card_tells_the_days_as_far_as_their_use_is_permitted(
    world: World, rows: Callable[[str], Any]
) -> None:
    deliver(world, GAIN)
    for day, mean in (("2026-11-18", 80), ("2026-11-22", 82.5)):
        rows(DAY.format(day=day, mean=mean))
    tell(world, ALL)

    (card,) = [
        each
        for each in ask(world, conditions=searchset(SCALE)).cards
        if "weight by scale" in each.summary
    ]

    assert "up 2.5 kg in a week" in card.summary
    assert "80–82.5 kg on 2 of 8 days to 2026-11-22" in card.detail


def test_an_ehr_without_bars_is_told_the_numbers_of_the_days(
    world: World, rows: Callable[[str], Any]
) -> None:
    deliver(world, GAIN)
    rows(DAY.format(day="2026-11-22", mean=82.5))
    tell(world, ALL)
    client = world.clients.anonymous
    assert client is not None
    plain = replace(client, profile=replace(client.profile, draws_days=False))
    clients = replace(world.clients, anonymous=plain)

    shown = ask(replace(world, clients=clients), conditions=searchset(SCALE)).cards

    assert "82.5 kg on 1 of 8 days to 2026-11-22." in shown[0].detail
    assert "▁" not in shown[0].detail


def test_days_whose_use_was_withdrawn_are_in_no_card(
    world: World, rows: Callable[[str], Any]
) -> None:
    deliver(world, GAIN)
    rows(DAY.format(day="2026-11-22", mean=82.5))
    tell(world, ALL)
    tell(world, WITHDRAWN)

    found = ask(world, conditions=searchset(SCALE))

    assert "82.5" not in json.dumps(found.body)
