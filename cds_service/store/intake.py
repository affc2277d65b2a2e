"""What one delivery brings, put where it belongs, in the transaction that is open."""

from datetime import datetime
from operator import attrgetter

from sqlalchemy import Connection

from . import rows
from .consents import apply_change, expect_consents, guard
from .detection.detecting import count_skewed, detect
from .detection.limits import LimitsTold
from .detection.records import DetectionOutcome
from .grants.pulling import note_pulled
from .outbox.news import note_news
from .records import Intake, TakenIn
from .samples.imports import note_progress
from .samples.links import change_links, expect_links
from .samples.quarantine import hold, release
from .samples.upsert import upsert
from .statements import RETRACT_ALERT, SAVE_ALERT


def take_in(connection: Connection, intake: Intake, now: datetime) -> TakenIn:
    """Return what became of it.

    Of two revisions of an alert the higher stays, whichever came first. Whoever takes
    something back has its patient alone: what comes meanwhile sees the removal.

    Raises:
        Outdated: if what the intake rests on does not hold any more.
        NotHeld: if it was pulled by a grant that somebody else has by now.
    """
    # In one order, so that no two transactions wait for each other.
    alerts, retracted = (
        sorted(each, key=attrgetter("patient", "source", "id"))
        for each in (intake.alerts, intake.retracted)
    )
    _guard(connection, intake)
    expect_consents(connection, intake.seen)
    expect_links(connection, intake.links)
    release(connection, intake.released)
    told = LimitsTold.read(connection, (*alerts, *retracted), intake.detection)
    note_news(connection, alerts, retracted, now)
    if alerts:
        SAVE_ALERT.run(connection, *map(rows.alert_row, alerts))
    if retracted:
        RETRACT_ALERT.run(connection, *map(rows.retraction_row, retracted))
    for change in intake.changes:
        apply_change(connection, change, now)
    upserted = upsert(connection, intake.samples, now)
    held = hold(connection, intake.held, intake.limits, now)
    if intake.progress:
        note_progress(connection, intake.progress, now)
    if intake.pulled:
        note_pulled(connection, intake.pulled)
    links = list(change_links(connection, intake.link_changes, now))
    detected = DetectionOutcome()
    if intake.detection:
        changed = told.add_changed(connection, upserted.changed, now)
        detected = detect(connection, changed, intake.detection, now)
        detected += count_skewed(connection, intake.skewed, intake.detection, now)
    return TakenIn(upserted.outcomes, held, links, detected)


def _guard(connection: Connection, intake: Intake) -> None:
    """Have alone whose readings are judged: then none is missed that another brings."""
    alerts = [each.patient for each in (*intake.alerts, *intake.retracted)]
    read = {*intake.seen, *alerts, *(each.owner.patient for each in intake.samples)}
    changed = {each.patient for each in intake.changes}
    changed |= {
        each.owner.patient
        for each in intake.samples
        if each.takes_back or intake.detection
    }
    if intake.detection:
        changed.update(alerts)
        changed.update(owner.patient for owner, _ in intake.skewed)
    guard(connection, read, changed)
