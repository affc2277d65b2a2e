"""``/smart/s/<session>/timeline``: what wearables told of the session's patient."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Flask, Response, g, request

from ....connect.smart import TokenDesk
from ....decision import World
from ....protocol.errors import Unavailable
from ....store.detection.timeline import Heard, TimelineAsked
from ....store.records import StoreError
from ....wearables.records import PatientKey
from ...smart.sessions import UNDER, launching
from ..shell import render_page
from ..visits import patient_of, receive, record_view
from .asking import (
    TimelineQuery,
    TimelineSubject,
    Way,
    choose_subject,
    length_ways,
    metric_ways,
    other_ways,
    read_query,
    way_to,
)
from .medicines import read_medicines
from .picture import MedicinePeriod, build_picture
from .words import day_words

NO_METRICS = "This server has no metrics for wearables, so nothing is shown."
NOT_AS_ASKED = "The requested time could not be read; this is the last week."


def add_timeline(app: Flask, world: World, tokens: TokenDesk) -> None:
    """Have the page there, where an EHR may open it."""
    if launching(world):
        app.register_blueprint(build_timeline(world, tokens))


def build_timeline(world: World, tokens: TokenDesk) -> Blueprint:
    """Return the page of what wearables told over time.

    Args:
        tokens: Where the tokens of sessions are.

    Raises:
        InvalidConfig: if there is no key for what sessions hold.
    """
    pages = Blueprint("timeline", __name__, url_prefix=UNDER)
    receive(pages, world)

    @pages.get("/timeline")
    def timeline() -> Response:
        record_view(world, "timeline")
        medicines = read_medicines(world, tokens, g.session)
        values = read_values(
            world,
            patient_of(g.session),
            read_query(request.args),
            medicines.periods,
            medicines.missing,
        )
        return render_page("timeline.html", title="Timeline", **values)

    return pages


def read_values(
    world: World,
    patient: PatientKey,
    query: TimelineQuery,
    medicines: Sequence[MedicinePeriod],
    missing: Sequence[str],
) -> Mapping[str, Any]:
    """Return what the page says of a patient.

    Args:
        missing: What else is not shown, and why.

    Raises:
        Unavailable: if it cannot be read.
    """
    now, catalogue = world.clock(), world.rulebook.catalogue
    detectors = tuple(world.rulebook.detectors.values())
    if not catalogue.metrics:
        return _page(missing=[NO_METRICS])

    def subject_of(heard: Heard) -> TimelineSubject:
        return choose_subject(query, catalogue, detectors, heard, now)

    def choose(heard: Heard) -> TimelineAsked:
        return subject_of(heard).asked()

    detection = world.detection(patient.tenant)
    try:
        timeline = world.store.detections.timeline(patient, detection, choose, now)
    except StoreError as error:
        raise Unavailable("The wearable data could not be read.") from error
    subject, heard = subject_of(timeline.heard), timeline.heard
    metric, timespan = subject.metric, subject.timespan
    picture = build_picture(subject, timeline, medicines)
    return _page(
        picture=picture,
        metrics=list(metric_ways(catalogue, heard.newest, metric, timespan)),
        lengths=list(length_ways(metric, timespan, now)),
        others=list(other_ways(metric, timespan, now)),
        newest=_newest(subject, heard) if picture.is_empty else None,
        missing=[*(() if subject.is_as_asked else [NOT_AS_ASKED]), *missing],
        zone_name=heard.zone_name,
    )


def _page(**told: Any) -> Mapping[str, Any]:
    nothing: dict[str, Any] = {"picture": None, "newest": None, "zone_name": ""}
    nothing |= {name: [] for name in ("metrics", "lengths", "others", "missing")}
    return nothing | told


def _newest(subject: TimelineSubject, heard: Heard) -> Way | None:
    """A way to the newest reading, where that is not in the time."""
    metric = subject.metric
    source = metric.derived.source if metric.derived else metric.name
    newest = heard.newest.get(source)
    begin, end = subject.timespan.span
    if newest is None or begin <= newest < end or source in heard.withheld:
        return None
    label = f"The newest reading is of {day_words(subject.timespan.clock(newest))}"
    return way_to(metric, newest, heard.zone, label)
