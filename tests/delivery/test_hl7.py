"""Telling an integration engine over MLLP, whatever it answers."""

import os
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cds_service.config.destinations import DestinationTls, Hl7Destination
from cds_service.delivery.dispatcher import Dispatcher, Surroundings, run
from cds_service.delivery.hl7 import Hl7Sender
from cds_service.delivery.mllp import MllpClient, NotSent
from cds_service.delivery.records import Accepted, Declined, Later, Reply, Uncertain
from cds_service.http.addresses import Reach
from cds_service.store.outbox.backlog import Chosen
from cds_service.store.records import AuditEvent, Intake
from cds_service.store.store import Store
from cds_service.wearables.adapters.hl7v2.messages import parse_message
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.links import WearerLink
from cds_service.wearables.metrics import Catalogue
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.telling import (
    PatientIdentity,
    PriorTelling,
    Subscription,
    TakenDay,
    Telling,
    ToldAs,
)

from ..cli.mllp.authority import make_authority
from ..waiting import PATIENCE, until, with_time_enough
from ..wearables.outputs.things import NAMING, PATIENT, SHIPPED, a_day, an_episode
from .conftest import NOW, Clock, alerts
from .mllp_peer import (
    AA,
    AE,
    ANOTHER,
    AR,
    CA,
    GARBAGE,
    GOODBYE,
    HALF,
    HALVES,
    NOISE,
    SILENCE,
    TWO,
    Engine,
)

ADA = PatientIdentity(PATIENT, "12345", "HOSP")


@contextmanager
def telling_to(
    engine: Engine, seconds: int = PATIENCE, **more: Any
) -> Iterator[Hl7Sender]:
    configured = Hl7Destination(
        Subscription("ehr", "default", days=(TakenDay("steps"),)),
        "127.0.0.1",
        engine.port,
        Reach.LOCAL,
        ack_seconds=seconds,
        **more,
    )
    sender = Hl7Sender(
        configured, lambda: SHIPPED, NAMING, lambda: datetime(2026, 12, 24, tzinfo=UTC)
    )
    try:
        yield sender
    finally:
        sender.close()


def telling(rev: int = 1, thing: Any = None, **more: Any) -> Telling:
    told = {"kind": "episode", "key": "k", "identity": ADA, **more}
    return Telling(destination="ehr", rev=rev, thing=thing or an_episode(), **told)


def send(sender: Hl7Sender, told: Telling, seconds: float = PATIENCE) -> Reply:
    return sender.send(told, time.monotonic() + seconds)


def told_with(how: str, seconds: float = PATIENCE, **more: Any) -> tuple[Reply, Engine]:
    with Engine(lambda number: how) as engine, telling_to(engine, **more) as sender:
        return send(sender, telling(), seconds), engine


@pytest.mark.parametrize("how", [AA, HALVES, TWO, NOISE])
def test_who_acknowledges_has_it(how: str) -> None:
    reply, engine = told_with(how)

    assert isinstance(reply, Accepted)
    assert reply.status is ToldAs.FINAL
    assert len(engine.taken) == 1


@pytest.mark.parametrize("how", [HALF, ANOTHER, GARBAGE])
def test_an_answer_that_is_none_of_it_leaves_it_uncertain(how: str) -> None:
    reply, _ = told_with(how)

    assert isinstance(reply, Uncertain)


def test_an_engine_is_told_again_by_a_process_that_has_very_much_open() -> None:
    """On the same connection; more than 1024 files is more than select() counts."""
    with ExitStack() as held, Engine(lambda number: AA) as engine:
        for _ in range(1100):
            held.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        with telling_to(engine) as sender:
            replies = [send(sender, telling(rev)) for rev in (1, 2)]

    assert [type(each) for each in replies] == [Accepted, Accepted]


def test_silence_is_uncertain_once_the_time_is_over() -> None:
    begun = time.monotonic()

    reply, _ = with_time_enough(
        lambda seconds: told_with(SILENCE, seconds), lambda told: told[1].came, 0.3
    )

    assert reply == Uncertain("It did not answer in time.")
    assert time.monotonic() - begun < PATIENCE / 2


def test_an_application_error_is_tried_again() -> None:
    assert told_with(AE)[0] == Later("It answered AE.")


def test_a_rejection_is_told_in_the_words_of_the_engine() -> None:
    assert told_with(AR)[0] == Declined(
        "AR: no such patient; PID-3 Unknown key identifier"
    )


def test_where_nobody_listens_it_is_tried_later() -> None:
    with Engine() as engine:
        pass
    with telling_to(engine) as sender:
        reply = send(sender, telling())

    assert isinstance(reply, Later)
    assert "cannot be reached" in reply.problem


def test_a_name_that_leads_to_this_machine_is_no_engine() -> None:
    with Engine() as engine:
        client = MllpClient(
            "engine.example", engine.port, resolve=lambda host, port: ["127.0.0.1"]
        )
        with pytest.raises(NotSent, match="Its address is loopback"):
            client.ask(b"MSH|^~\\&|", "1", time.monotonic() + PATIENCE)

    assert engine.came == []


def test_each_address_of_a_name_is_tried_until_one_answers() -> None:
    message = b"MSH|^~\\&|A|B|C|D|20261224||ORU^R01|17|P|2.5.1\r"
    addresses = ["127.0.0.2", "127.0.0.1"]
    with Engine() as engine:
        client = MllpClient(
            "localhost", engine.port, Reach.LOCAL, resolve=lambda host, port: addresses
        )
        told = client.ask(message, "17", time.monotonic() + PATIENCE)
        client.close()

    assert (told.code, told.control_id, engine.connections) == ("AA", "17", 1)


def test_a_name_with_one_address_that_may_not_be_is_not_called_at_all() -> None:
    addresses = ["93.184.216.34", "127.0.0.1"]
    client = MllpClient("engine.example", 2575, resolve=lambda host, port: addresses)

    with pytest.raises(NotSent, match="Its address is loopback"):
        client.ask(b"MSH|^~\\&|", "1", time.monotonic() + 10)


def test_a_name_without_an_address_is_not_called() -> None:
    client = MllpClient("engine.example", 2575, resolve=lambda host, port: [])

    with pytest.raises(NotSent, match="^Its name does not resolve to an address.$"):
        client.ask(b"MSH|^~\\&|", "1", time.monotonic() + 10)


def test_in_enhanced_mode_the_commit_is_enough() -> None:
    reply, engine = told_with(CA, mode="enhanced")

    assert isinstance(reply, Accepted)
    assert b"|2.5.1|||AL|NE|" in engine.came[0]


def test_one_connection_is_kept_until_something_goes_wrong() -> None:
    behaviour = [AA, AA, ANOTHER, AA, TWO, AA]
    with Engine(lambda number: behaviour[number]) as engine:
        with telling_to(engine) as sender:
            replies = [send(sender, telling(rev)) for rev in range(1, 7)]

    assert [type(each).__name__ for each in replies] == [
        *("Accepted", "Accepted", "Uncertain", "Accepted", "Accepted", "Accepted"),
    ]
    assert engine.connections == 3


def test_an_engine_that_hangs_up_after_each_answer_is_called_anew() -> None:
    with Engine(lambda number: GOODBYE) as engine, telling_to(engine) as sender:
        replies = []
        for rev in (1, 2):
            replies.append(send(sender, telling(rev)))
            until(lambda: engine.ended == rev)

    assert [type(each) for each in replies] == [Accepted, Accepted]
    assert engine.connections == 2


def test_what_is_sent_again_has_the_same_control_id_and_a_revision_another() -> None:
    with Engine(lambda number: HALF if number == 0 else AA) as engine:
        with telling_to(engine) as sender:
            first = send(sender, telling())
            second = send(sender, telling(uncertain=True))
            third = send(sender, telling(2, an_episode(value=140.0)))

    assert [type(each) for each in (first, second, third)] == [
        *(Uncertain, Accepted, Accepted),
    ]
    assert sorted(engine.times.values()) == [1, 2]


@pytest.mark.parametrize("again", [AA, AR])
def test_what_may_have_arrived_is_repeated_before_it_is_corrected(again: str) -> None:
    ways = [HALF, again, AA]
    with Engine(lambda number: ways[number]) as engine, telling_to(engine) as sender:
        lost = send(sender, telling())
        revised = telling(2, an_episode(value=140.0), uncertain=True, begun=1)
        reply = send(sender, revised)

    assert isinstance(lost, Uncertain)
    assert isinstance(reply, Accepted) and reply.status is ToldAs.AMENDED
    assert [letters(each)[0] for each in engine.came] == ["F", "F", "C"]
    assert sorted(engine.times.values()) == [1, 2]
    assert len({order(each) for each in engine.came}) == 1


@pytest.mark.parametrize(
    ("again", "least", "kind"), [(SILENCE, 1, Uncertain), (AE, PATIENCE / 2, Later)]
)
def test_nothing_is_corrected_of_which_nobody_knows_whether_it_arrived(
    again: str, least: float, kind: type[Reply]
) -> None:
    revised = telling(2, an_episode(value=140.0), uncertain=True, begun=1)

    def told_in(seconds: float) -> tuple[Reply, Engine]:
        with Engine(lambda number: again) as engine:
            with telling_to(engine, int(seconds)) as sender:
                return send(sender, revised), engine

    reply, engine = with_time_enough(told_in, lambda told: told[1].came, least)

    assert isinstance(reply, kind)
    assert [letters(each)[0] for each in engine.came] == ["F"]


def prior(reply: Reply, rev: int = 1) -> PriorTelling:
    assert isinstance(reply, Accepted)
    return PriorTelling(rev, reply.remote, reply.status, reply.digest)


def letters(message: bytes) -> list[str]:
    parsed = parse_message(message.decode().strip())
    return [each.text(11) for each in parsed.segments if each.name == "OBX"]


def test_a_revision_corrects_and_what_is_gone_is_deleted() -> None:
    with Engine() as engine, telling_to(engine) as sender:
        first = prior(send(sender, telling()))
        more = {"prior": first}
        second = send(sender, telling(2, an_episode(value=140.0, median=None), **more))
        gone = replace(telling(3, prior=prior(second, 2)), thing=None)
        third = send(sender, gone)

    assert [letters(each) for each in engine.came] == [
        ["F"] * 5,
        ["C"] * 4 + ["D"],
        ["D"] * 4,
    ]
    assert isinstance(third, Accepted)
    assert third.status is ToldAs.ENTERED_IN_ERROR


def test_what_a_wrong_link_told_is_taken_back_from_whom_it_was_told_of() -> None:
    with Engine() as engine, telling_to(engine) as sender:
        first = prior(send(sender, telling()))
        nobody = telling(2, identity=PatientIdentity(PATIENT), prior=first)
        reply = send(sender, replace(nobody, thing=None))

    assert isinstance(reply, Accepted)
    assert b"PID|1||12345^^^HOSP^MR|" in engine.came[1]
    assert letters(engine.came[1]) == ["D"] * 5


def test_what_is_anothers_by_now_is_taken_back_and_told_of_the_other() -> None:
    eve = PatientIdentity(PATIENT, "99", "HOSP")
    with Engine() as engine, telling_to(engine) as sender:
        first = prior(send(sender, telling()))
        reply = send(sender, telling(2, identity=eve, prior=first))

    assert isinstance(reply, Accepted) and reply.status is ToldAs.FINAL
    assert [b"|12345^^^HOSP^MR|" in each for each in engine.came] == [True, True, False]
    assert [letters(each)[0] for each in engine.came] == ["F", "D", "F"]
    assert len(engine.taken) == 3


def test_what_may_have_been_told_is_taken_back_in_full() -> None:
    gone = telling(2, an_episode(status="retracted"), uncertain=True)
    with Engine() as engine, telling_to(engine) as sender:
        send(sender, telling())
        reply = send(sender, gone)
        again = send(sender, replace(gone, rev=3, prior=prior(reply, 2)))

    assert isinstance(reply, Accepted) and isinstance(again, Accepted)
    assert reply.status is ToldAs.ENTERED_IN_ERROR
    told, *taken_back = engine.came
    assert [letters(each) for each in taken_back] == [["D"] * 5] * 2
    assert order(told) == order(taken_back[0]) == order(taken_back[1])


def test_a_value_that_may_have_been_told_is_taken_back_with_the_others() -> None:
    with Engine() as engine, telling_to(engine) as sender:
        first = prior(send(sender, telling(thing=an_episode(median=None))))
        retracted = an_episode(status="retracted")
        send(sender, telling(3, retracted, prior=first, uncertain=True))

    assert [len(letters(each)) for each in engine.came] == [4, 5]


def order(message: bytes) -> str:
    parsed = parse_message(message.decode().strip())
    (found,) = [each.text(3) for each in parsed.segments if each.name == "OBR"]
    return found


def test_what_would_say_the_same_is_not_sent_again() -> None:
    with Engine() as engine, telling_to(engine) as sender:
        first = send(sender, telling())
        second = send(sender, telling(2, prior=prior(first)))
        uncertain = send(sender, telling(3, prior=prior(first), uncertain=True))

    assert isinstance(second, Accepted) and isinstance(uncertain, Accepted)
    assert len(engine.came) == 2


def test_a_day_is_told_in_what_the_destination_takes() -> None:
    with Engine() as engine, telling_to(engine) as sender:
        day = telling(thing=a_day(), kind="day", key="steps|2026-11-21|day")
        reply = send(sender, day)

    assert isinstance(reply, Accepted)
    assert b"|41950-7^Steps of the day^LN|1|6120|" in engine.came[0]


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (
            telling(identity=PatientIdentity(PATIENT)),
            "The patient's link has no hospital number (mrn).",
        ),
        (replace(telling(), thing=None), "It was never sent."),
        (
            replace(telling(uncertain=True), thing=None),
            "It may have been sent, and no longer exists here: check at the receiver.",
        ),
        (
            telling(thing=a_day("body-weight"), kind="day"),
            "Nothing of it is sent: see outputs.yaml and `days`.",
        ),
    ],
)
def test_what_cannot_be_told_is_declined_in_words(told: Telling, problem: str) -> None:
    with Engine() as engine, telling_to(engine) as sender:
        assert send(sender, told) == Declined(problem)

    assert engine.came == []


def test_under_tls_both_sides_prove_who_they_are(tmp_path: Path) -> None:
    ca, sign = make_authority(tmp_path)
    theirs, ours = sign("localhost"), sign("cds.example")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(*theirs)
    with Engine(context=context) as engine, telling_to(engine) as sender:
        tls = DestinationTls(ca, *ours)
        plain = replace(sender.configured, host="localhost", tls=tls)
        known = Hl7Sender(plain, lambda: SHIPPED, NAMING)
        good = send(known, telling())
        known.close()
        stranger = replace(plain, tls=DestinationTls(""))
        unknown = send(Hl7Sender(stranger, lambda: SHIPPED, NAMING), telling())

    assert isinstance(good, Accepted)
    assert isinstance(unknown, Later) and "TLS failed" in unknown.problem


# Out of the outbox

BEHAVIOURS = (AA, AE, AA, SILENCE, HALVES, ANOTHER, AA, TWO, HALF, AA, AR, NOISE)


def test_of_the_outbox_an_engine_has_each_telling_once_however_it_behaves(
    store: Store, clock: Clock
) -> None:
    links, told = {}, []
    for number in range(4):
        patient = PatientKey("north", "-", f"p{number:03}")
        event = AuditEvent(NOW, "link", "north", "operator")
        wearer = WearerLink("watch", patient, NOW.replace(year=2020), f"u{number}")
        links[patient] = store.links.add(
            replace(wearer, mrn=f"M{number}", authority="HOSP"), event
        ).id
    for each in alerts(patients=4, each=9, value=131.0, unit="/min", stat="max"):
        told.append(replace(each, link=links[each.patient]))
    store.take_in(
        Intake(alerts=tuple(told)), AuditEvent(NOW, "delivery", "north", "watch"), NOW
    )
    gate = ConsentGate(Catalogue(), UTC, assumed=True)
    around = Surroundings(lambda tenant: gate, clock, chance=lambda: 0.0)

    def behave(number: int) -> str:
        return BEHAVIOURS[number % len(BEHAVIOURS)] if number < 60 else AA

    with Engine(behave) as engine, telling_to(engine, seconds=1) as sender:
        dead = 0
        for _ in range(100):
            dispatcher = Dispatcher(store.outbox, sender, around, 4)
            run([dispatcher], threading.Event(), once=True)
            clock.turn(minutes=10)
            (backlog,) = store.outbox_desk.backlogs(clock())
            if not backlog.waiting:
                dead += backlog.dead
                if not backlog.dead:
                    break
                event = AuditEvent(clock(), "delivery", "north", "operator")
                store.outbox_desk.retry(Chosen(destination="ehr"), event)

    assert dead, "rejections become dead letters"
    assert len(engine.taken) == 36
    assert len(engine.came) > 36
    people = [parse_message(each.decode().strip()) for each in engine.taken.values()]
    numbers = [
        segment.text(3)
        for each in people
        for segment in each.segments
        if segment.name == "PID"
    ]
    assert {each: numbers.count(each) for each in set(numbers)} == {
        f"M{number}": 9 for number in range(4)
    }


def test_an_engine_that_was_silent_has_no_second_result_of_a_revised_episode(
    store: Store, clock: Clock
) -> None:
    patient = PatientKey("north", "-", "p000")
    wearer = WearerLink("watch", patient, NOW.replace(year=2020), "u1", mrn="M1")
    link = store.links.add(wearer, AuditEvent(NOW, "link", "north", "operator")).id
    (first,) = alerts(1, 1, value=131.0, unit="/min", stat="max", link=link)
    (second,) = alerts(1, 1, value=150.0, unit="/min", stat="max", link=link, rev=1)
    gate = ConsentGate(Catalogue(), UTC, assumed=True)
    around = Surroundings(lambda tenant: gate, clock, chance=lambda: 1.0)

    def tell(engine: Engine, alert: WearableAlert, seconds: int) -> None:
        event = AuditEvent(clock(), "delivery", "north", "watch")
        store.take_in(Intake(alerts=(alert,)), event, clock())
        with telling_to(engine, seconds) as sender:
            dispatcher = Dispatcher(store.outbox, sender, around, 1)
            run([dispatcher], threading.Event(), once=True)
        clock.turn(minutes=10)

    with Engine(lambda number: SILENCE if number == 0 else AA) as engine:
        tell(engine, first, seconds=1)
        while not engine.came:
            tell(engine, first, seconds=1)
        tell(engine, second, PATIENCE)

    taken = [letters(each)[0] for each in engine.taken.values()]
    assert taken == ["F", "C"]
    assert len({order(each) for each in engine.taken.values()}) == 1
