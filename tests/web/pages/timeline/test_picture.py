"""What was read of a patient is drawn and told, and what was not is said."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cds_service.store.detection.timeline import Heard, Timeline
from cds_service.wearables.detection.detectors import (
    DaysBeyond,
    Detector,
    Direction,
    Gain,
    OwnLimit,
    SustainedBreach,
)
from cds_service.wearables.detection.episodes import DayTally, NotJudged
from cds_service.wearables.metrics import Catalogue, Metric
from cds_service.wearables.records import (
    AlertType,
    PatientKey,
    RecentAlerts,
    WearableAlert,
)
from cds_service.wearables.samples import Flag, Stat, microseconds
from cds_service.wearables.series import Point, Series, Voice
from cds_service.wearables.summaries import DaySummary
from cds_service.web.pages.timeline.asking import (
    TimelineQuery,
    TimelineSubject,
    choose_subject,
)
from cds_service.web.pages.timeline.picture import (
    TRACKS,
    MedicinePeriod,
    Picture,
    build_picture,
)

NEW_YORK = ZoneInfo("America/New_York")
MINUTE = timedelta(minutes=1)
HOUR = 60 * MINUTE
MIDNIGHT = datetime(2026, 11, 21, tzinfo=NEW_YORK)
NOW = datetime(2026, 11, 22, 9, tzinfo=NEW_YORK)
HEART = Metric(
    *("heart-rate", "Heart rate", "/min", 25, 250),
    speaks_for=3 * MINUTE,
    proves_wear=15 * MINUTE,
)
RESTING = Metric(
    *("resting-heart-rate", "Resting heart rate", "/min", 25, 200),
    shown_with="heart-rate",
)
STEPS = Metric("steps", "Steps", "{steps}", 0, 250_000, cumulative=True)
WEIGHT = Metric("body-weight", "Body weight", "kg", 2, 400)
CATALOGUE = Catalogue(
    {each.name: each for each in (HEART, RESTING, STEPS, WEIGHT)},
    {
        "high-heart-rate": AlertType(
            "high-heart-rate", "High heart rate", "heart-rate"
        ),
        "irregular-rhythm": AlertType(
            "irregular-rhythm", "Irregular rhythm notification"
        ),
    },
)
BREACH = SustainedBreach(
    *(Direction.ABOVE, 100, 95, 10 * MINUTE, 3 * MINUTE, 0.7, 1, 4),
    *(0 * MINUTE, 10 * MINUTE, HOUR),
)


def detector(**changes: Any) -> Detector:
    usual: dict[str, Any] = {
        "name": "high",
        "version": "1.0.0",
        "title": "High heart rate at rest",
        "metric": "heart-rate",
        "alert_type": "high-heart-rate",
        "unit": "/min",
        "pattern": BREACH,
        "status": "active",
        "lateness": HOUR,
        "cooldown": HOUR,
        "own_limit": OwnLimit(90, 150),
    }
    return Detector(**{**usual, **changes})


def at(minutes: float) -> int:
    """Minutes after the midnight of 21 November in New York."""
    return microseconds(MIDNIGHT + minutes * MINUTE)


def series(*readings: tuple[float, float], metric: str = "heart-rate") -> Series:
    points = [Point(at(minute), at(minute), value, 0) for minute, value in readings]
    return Series(metric, [Voice("watch")], points)


def alert(**changes: Any) -> WearableAlert:
    usual: dict[str, Any] = {
        "id": "a1",
        "patient": PatientKey("t", "-", "p1"),
        "type": "high-heart-rate",
        "start": MIDNIGHT + HOUR,
        "opened": MIDNIGHT + HOUR,
        "end": MIDNIGHT + 2 * HOUR,
        "metric": "heart-rate",
        "value": 112.0,
        "unit": "/min",
        "threshold": 100.0,
        "status": "closed",
        "device": "Watch",
        "source": "watch",
    }
    return WearableAlert(**{**usual, **changes})


def day(of: date, **changes: Any) -> DaySummary:
    usual: dict[str, Any] = {"n": 1440, "min": 50.0, "max": 120.0, "mean": 70.0}
    told = {"covered": 1440.0, "worn": 1200.0, **usual, **changes}
    return DaySummary("heart-rate", of, "America/New_York", 1440, **told)


def picture(
    query: TimelineQuery = TimelineQuery("heart-rate", "2026-11-21", "2026-11-22"),
    *,
    detectors: Sequence[Detector] = (detector(),),
    medicines: Sequence[MedicinePeriod] = (),
    heard: Heard = Heard(NEW_YORK, "America/New_York"),
    **read: Any,
) -> Picture:
    """What is shown of what is read."""
    subject = choose_subject(query, CATALOGUE, detectors, heard, NOW)
    return build_picture(subject, timeline_of(subject, heard, **read), medicines)


def timeline_of(subject: TimelineSubject, heard: Heard, **read: Any) -> Timeline:
    asked = subject.asked()
    usual: dict[str, Any] = {
        "series": {} if asked.is_of_days else {e: Series(e) for e in asked.metrics},
        "crowded": frozenset(),
        "days": (),
        "alerts": RecentAlerts(),
        "tallies": (),
        "limits": {},
        "withheld": {},
    }
    told = {**usual, **read}
    told["withheld"] = {e: told["withheld"].get(e, ()) for e in asked.metrics}
    told["series"] = {**usual["series"], **told["series"]}
    return Timeline(heard, asked, **told)


def drawn(shown: Picture, name: str) -> list[str]:
    """The texts of a class."""
    return re.findall(rf'<text class="[^"]*\b{name}\b[^"]*"[^>]*>([^<]*)', shown.svg)


def test_one_sentence_tells_what_is_to_be_seen() -> None:
    readings = series(*((minute, 60 + minute % 8) for minute in range(120)))

    shown = picture(series={"heart-rate": readings}, alerts=RecentAlerts((alert(),)))

    assert shown.says == (
        "Heart rate: 120 readings from 60 to 67 /min, 21 Nov 2026; readings for 8% of"
        " the time; not worn, or no data, for 22 h; 1 episode."
    )
    assert '<desc id="timeline-says">Heart rate: 120 readings' in shown.svg


def test_gaps_are_counted_and_the_longest_is_told() -> None:
    readings = series((0, 60), (1, 61), (31, 62), (33, 63), (93, 64))

    shown = picture(series={"heart-rate": readings})

    assert "2 gaps, the longest 57 min" in shown.says
    (path,) = re.findall(r'class="line" d="([^"]*)"', shown.svg)
    assert path.count("M") == 3


def test_no_reading_is_said_and_not_drawn() -> None:
    shown = picture()

    assert shown.says == ("Heart rate: no readings, 21 Nov 2026; nothing to judge.")
    assert shown.is_empty and 'class="line"' not in shown.svg
    assert shown.episodes is None


def test_where_nothing_looks_for_episodes_none_is_not_said() -> None:
    shown = picture(detectors=(detector(status="shadow"),))

    assert shown.says.endswith("; no active detector uses it.")


JUDGED = DayTally("high", date(2026, 11, 21), "watch", 1440)


def test_no_episode_is_said_only_of_what_was_judged() -> None:
    read = {"heart-rate": series((0, 60), (1, 61))}
    some = replace(JUDGED, not_judged={NotJudged.TOO_SPARSE: 3})

    for tallies, expected in (
        ([], "not yet judged."),
        ([JUDGED], "no episode was found."),
        (
            [JUDGED, some],
            "no episode was found, and on 1 day not all could be judged.",
        ),
    ):
        assert picture(series=read, tallies=tallies).says.endswith(expected)


def test_of_the_part_that_may_be_shown_it_is_said_that_there_is_nothing() -> None:
    shown = picture(withheld={"heart-rate": ((at(0), at(900)),)})

    assert shown.says == ("Heart rate: no readings in the permitted part of this time.")


def test_what_is_withheld_is_never_called_none() -> None:
    span = at(0), at(24 * 60)

    shown = picture(withheld={"heart-rate": (span,)})

    assert (
        shown.says == "Heart rate: the patient permits none of this time to be shown."
    )
    assert shown.notes == [
        "The patient does not permit the use of heart rate of this time."
    ]
    assert 'class="withheld"' in shown.svg and 'class="off-wrist"' not in shown.svg


def test_of_what_is_withheld_in_part_the_rest_is_shown() -> None:
    shown = picture(
        series={"heart-rate": series((1000, 60))},
        withheld={"heart-rate": ((at(0), at(900)),)},
    )

    assert shown.says.startswith("Heart rate: 1 reading of 60 /min")
    assert "episode" not in shown.says
    assert "of a part of this time, which is crossed out" in shown.notes[0]


def test_readings_that_no_detector_counts_are_told_and_not_drawn() -> None:
    odd = [
        Point(at(0), at(0), 60, 0),
        Point(at(1), at(1), 200, 0, flags=Flag.MANUAL),
        Point(at(2), at(1440), 201, 0, flags=Flag.DAY_TOTAL),
        Point(at(3), at(60), 202, 0, Stat.MAX),
        Point(at(4), at(4), 40, 0, flags=Flag.BELOW),
    ]

    shown = picture(series={"heart-rate": Series("heart-rate", [Voice("watch")], odd)})

    assert "2 readings from 40 to 60 /min" in shown.says
    assert shown.notes[0].startswith("3 more readings are stored but not drawn")


def test_of_a_minute_that_two_tell_one_is_drawn() -> None:
    points = [Point(at(0), at(0), 60, 0), Point(at(0), at(0), 90, 1)]
    both = Series("heart-rate", [Voice("watch"), Voice("phone")], points)

    shown = picture(series={"heart-rate": both})

    assert shown.says.startswith("Heart rate: 1 reading of 90 /min")


def test_time_off_the_wrist_begins_where_nothing_proves_wear() -> None:
    shown = picture(series={"heart-rate": series((0, 60), (60, 61), (1430, 62))})

    blocks = re.findall(
        r'<rect x="([\d.]+)%" y="20" width="([\d.]+)%"[^>]*class="off-wrist"', shown.svg
    )
    assert [(float(x), float(width)) for x, width in blocks] == [
        (pytest.approx(100 * 15 / 1440, abs=0.01), pytest.approx(3.13, abs=0.01)),
        (pytest.approx(100 * 75 / 1440, abs=0.01), pytest.approx(94.1, abs=0.02)),
    ]


def test_the_future_is_not_called_off_the_wrist() -> None:
    shown = picture(
        TimelineQuery("heart-rate", "2026-11-22", "2026-11-23"),
        series={"heart-rate": series((24 * 60, 60), (33 * 60, 61))},
    )

    widths = re.findall(r'width="([\d.]+)%"[^>]*class="off-wrist"', shown.svg)
    assert [float(each) for each in widths] == [pytest.approx(36.46, abs=0.01)]


def test_limits_are_those_of_detectors_and_the_patients_own_from_then_on() -> None:
    shown = picture(
        limits={"high": [(at(-60), 105.0), (at(720), 120.0), (at(9999), 99.0)]}
    )

    lines = re.findall(
        r'<rect class="limit" x="([\d.]+)%" y="[\d.]+" width="([\d.]+)%"', shown.svg
    )
    assert lines == [("0", "50"), ("50", "50")]
    assert drawn(shown, "limit") == ["&gt; 105", "&gt; 120"]


def test_the_patients_own_limit_is_kept_within_what_the_detector_allows() -> None:
    shown = picture(limits={"high": [(at(-60), 500.0)]})

    assert drawn(shown, "limit") == ["&gt; 150"]


def test_a_pattern_without_a_limit_draws_none() -> None:
    gain = detector(pattern=Gain(((1, 1.4),), 5))
    share = detector(
        pattern=DaysBeyond(Direction.BELOW, 0.7, "band:in-range", 1, 1), name="share"
    )
    days = detector(pattern=DaysBeyond(Direction.AT_LEAST, 100, "mean", 2, 3), name="d")

    shown = picture(detectors=(gain, share, days))

    assert drawn(shown, "limit") == ["≥ 100"]


def test_only_detectors_in_force_are_drawn() -> None:
    others = [detector(status=each) for each in ("shadow", "draft", "retired")]

    assert drawn(picture(detectors=others), "limit") == []


def test_episodes_are_told_in_a_table_by_the_number_that_they_are_drawn_with() -> None:
    found = alert(detector="high", coverage=0.92, n=60)
    vendors = alert(
        id="v",
        start=MIDNIGHT + 5 * HOUR,
        end=None,
        status="open",
        threshold=None,
        type="unheard-of",
        value=None,
        device="",
    )

    shown = picture(alerts=RecentAlerts((found, vendors)))

    assert drawn(shown, "episode") == ["1", "2"]
    assert shown.episodes is not None
    assert [list(each) for each in shown.episodes.rows] == [
        [
            *("1", "High heart rate", "21 Nov 2026, 01:00", "21 Nov 2026, 02:00"),
            *("60 min", "112 /min", "100 /min", "92%"),
            "High heart rate at rest (Watch)",
        ],
        [
            *("2", "unheard-of", "21 Nov 2026, 05:00"),
            *("continues, data until 22 Nov 2026, 09:00", "28 h", "", "", ""),
            "the vendor (watch)",
        ],
    ]


def test_more_episodes_than_are_shown_are_said() -> None:
    shown = picture(alerts=RecentAlerts((alert(),), whole=False))

    assert "Not all episodes are shown; these are the newest." in shown.notes


def rhythm(**changes: Any) -> WearableAlert:
    """A notice of a watch, of what no metric is measured of."""
    start = MIDNIGHT + 3 * HOUR
    usual = {"id": "r", "type": "irregular-rhythm", "start": start, "end": start + HOUR}
    nothing = {"metric": "", "value": None, "unit": "", "threshold": None}
    return alert(**{**usual, **nothing, **changes})


def test_an_irregular_rhythm_has_a_lane_of_its_own_and_stands_in_the_table() -> None:
    early = rhythm(id="e", start=MIDNIGHT + HOUR, end=None, status="open")

    shown = picture(
        alerts=RecentAlerts((alert(),)), notices=RecentAlerts((early, rhythm()))
    )

    assert drawn(shown, "episode") == ["1"]
    assert drawn(shown, "track") == ["Irregular rhythm notification (No. 2, 3)"]
    assert shown.svg.count('class="track notice"') == 2
    assert ("notice", "Notice of a device, by its number in the table") in shown.keys
    assert "; 2 device notices (Irregular rhythm notification)." in shown.says
    assert shown.episodes is not None
    assert shown.episodes.caption == "Episodes and notices"
    numbers = [(row[0], row[1], row[4], row[5]) for row in shown.episodes.rows]
    assert numbers == [
        ("1", "High heart rate", "60 min", "112 /min"),
        ("2", "Irregular rhythm notification", "32 h", ""),
        ("3", "Irregular rhythm notification", "60 min", ""),
    ]


def test_a_notice_is_shown_beside_any_metric_and_where_there_are_no_readings() -> None:
    steps = TimelineQuery("steps", "2026-11-21", "2026-11-22")

    shown = picture(steps, notices=RecentAlerts((rhythm(),)))

    assert "1 device notice (Irregular rhythm notification)" in shown.says
    assert drawn(shown, "track") == ["Irregular rhythm notification (No. 1)"]
    assert shown.episodes is not None
    assert [row[0] for row in shown.episodes.rows] == ["1"]


def test_notices_that_are_withheld_are_said_to_be_and_never_called_none() -> None:
    shown = picture(withheld_types=frozenset({"irregular-rhythm"}))

    assert (
        "The patient does not permit the use of notices (Irregular rhythm"
        " notification) of all of this time." in shown.notes
    )
    assert "device notice" not in shown.says


def test_more_notices_than_are_shown_are_said() -> None:
    shown = picture(notices=RecentAlerts((rhythm(),), whole=False))

    assert "Not all notices are shown; these are the newest." in shown.notes


def test_a_notice_of_a_type_that_the_rules_no_longer_know_is_shown_by_its_name() -> (
    None
):
    shown = picture(notices=RecentAlerts((rhythm(type="unheard-of"),)))

    assert drawn(shown, "track") == ["unheard-of (No. 1)"]


def test_resting_heart_rate_is_drawn_as_rings_beside_the_line() -> None:
    shown = picture(
        series={
            "heart-rate": series((0, 60), (1, 61)),
            "resting-heart-rate": series((300, 58), metric="resting-heart-rate"),
        }
    )

    assert ("ring", "Resting heart rate") in shown.keys
    assert shown.svg.count('class="dots ring"') == 1
    assert shown.says.startswith("Heart rate: 2 readings")


def test_what_speaks_for_its_moment_is_dots_and_has_no_coverage() -> None:
    shown = picture(
        TimelineQuery("body-weight", "2026-11-21", "2026-11-23"),
        series={"body-weight": series((420, 80.5), (1860, 81), metric="body-weight")},
    )

    assert shown.says == (
        "Body weight: 2 readings from 80.5 to 81 kg, 21 Nov 2026 to 22 Nov 2026;"
        " no active detector uses it."
    )
    assert 'class="line"' not in shown.svg and 'class="dots"' in shown.svg


YEAR = TimelineQuery("heart-rate", "2025-11-23", "2026-11-23")


def test_a_long_time_is_shown_day_by_day_and_days_without_readings_are_told() -> None:
    days = [day(date(2026, 11, 18), max=131.0), day(date(2026, 11, 21), min=48.0)]

    shown = picture(YEAR, days=days)

    assert shown.says == (
        "Heart rate: 2 of 365 days with readings, from 48 to 131 /min,"
        " 23 Nov 2025 to 22 Nov 2026; not yet judged."
    )
    (path,) = re.findall(r'class="pillars" d="([^"]*)"', shown.svg)
    assert path.count("z") == 2
    (means,) = re.findall(r'class="line" d="([^"]*)"', shown.svg)
    assert means.count("M") == 2, "days between are missing"
    (grid,) = shown.grids
    assert [list(each) for each in grid.rows] == [
        ["23 Nov 2025 to 17 Nov 2026", "no readings", *[""] * 6],
        ["18 Nov 2026", "50", "70", "131", "1,440", "100%", "20 h", ""],
        ["19 Nov 2026 to 20 Nov 2026", "no readings", *[""] * 6],
        ["21 Nov 2026", "48", "70", "120", "1,440", "100%", "20 h", ""],
        ["22 Nov 2026", "no readings", *[""] * 6],
    ]


def test_days_to_come_are_not_told_as_days_without_readings() -> None:
    shown = picture(TimelineQuery("heart-rate", "2026-11-21", "2026-12-24"))

    assert [each[0] for each in shown.grids[-1].rows] == ["21 Nov 2026 to 22 Nov 2026"]


def test_of_several_sources_of_one_day_the_one_that_is_read_is_drawn() -> None:
    whole = day(date(2026, 11, 18), source="garmin", max=200.0)

    shown = picture(YEAR, days=[whole, day(date(2026, 11, 18))])

    assert "from 50 to 120 /min" in shown.says


def test_sums_are_bars_from_zero() -> None:
    one = DaySummary(
        "steps",
        date(2026, 11, 21),
        "America/New_York",
        1440,
        total=7230.0,
        sources=("watch",),
    )

    shown = picture(TimelineQuery("steps", "2026-11-21", "2026-11-22"), days=[one])

    assert shown.keys[0] == ("pillars", "Total of a day")
    assert drawn(shown, "value")[0] == "0"
    assert list(shown.grids[0].rows[0]) == ["21 Nov 2026", "7,230", "watch", ""]


def test_too_many_readings_for_a_page_are_shown_as_days_and_that_is_said() -> None:
    shown = picture(
        crowded=frozenset({"heart-rate"}), series={}, days=[day(date(2026, 11, 21))]
    )

    assert "too many readings for one page" in "".join(picture_of_crowd().notes)
    assert shown.grids


def test_where_not_all_that_was_judged_is_read_it_is_said() -> None:
    told = "What was not judged is shown of the newest days only"

    assert told in "".join(picture(tallied=False).notes)
    assert told not in "".join(picture().notes)


def picture_of_crowd() -> Picture:
    heard = Heard(NEW_YORK, "America/New_York")
    query = TimelineQuery("heart-rate", "2026-11-21", "2026-11-22")
    subject = choose_subject(query, CATALOGUE, (), heard, NOW)
    told = timeline_of(subject, heard, crowded=frozenset({"heart-rate"}))
    return build_picture(subject, replace(told, series={}), ())


def test_what_was_not_judged_is_drawn_and_told_by_its_day() -> None:
    reasons = {NotJudged.TOO_SPARSE: 40, NotJudged.REST_UNKNOWN: 2}
    tallies = [
        DayTally("high", date(2026, 11, 20), "watch", 0, reasons),
        DayTally("high", date(2026, 11, 21), "watch", 9, {NotJudged.BY_HAND: 1}),
        DayTally("other", date(2026, 11, 21), "watch", 0, {NotJudged.GROUPED: 7}),
    ]

    shown = picture(
        TimelineQuery("heart-rate", "2026-11-20", "2026-11-22"), tallies=tallies
    )

    names = ["Not judged by any detector", "Judged in part"]
    assert drawn(shown, "track") == names
    grid = shown.grids[-1]
    assert [each[-1] for each in grid.rows] == [
        "rest unknown (2), too sparse (40)",
        "by hand (1)",
    ]
    assert grid.rows[0][1] == "no readings"


def test_hours_are_told_as_the_wearers_clock_shows_them() -> None:
    readings = series((5, 60), (7, 70), (200, 90))

    hours, _ = picture(series={"heart-rate": readings}).grids

    assert [list(each) for each in hours.rows] == [
        ["00:00", "60", "70", "2"],
        ["01:00 to the hour from 02:00", "no readings", "", ""],
        ["03:00", "90", "90", "1"],
        ["04:00 to the hour from 23:00", "no readings", "", ""],
    ]


def test_the_day_on_which_clocks_go_back_has_25_hours() -> None:
    start = microseconds(datetime(2026, 11, 1, tzinfo=NEW_YORK))
    points = [Point(start + n * 3_600_000_000, start, 60, 0) for n in range(25)]
    points = [each._replace(end_us=each.start_us) for each in points]

    hours, _ = picture(
        TimelineQuery("heart-rate", "2026-11-01", "2026-11-02"),
        series={"heart-rate": Series("heart-rate", [Voice("watch")], points)},
    ).grids

    names = [each[0] for each in hours.rows]
    assert names[:4] == ["00:00", "01:00", "01:00", "02:00"]
    assert len(names) == 25


def test_medicines_are_drawn_for_the_time_in_which_they_were_taken() -> None:
    medicines = [
        MedicinePeriod("Metoprolol", at(720), None),
        MedicinePeriod("Before", None, at(-1)),
        MedicinePeriod("Metoprolol", at(0), at(60)),
        MedicinePeriod("After", at(24 * 60), None),
    ]

    shown = picture(medicines=medicines)

    assert drawn(shown, "track") == ["Metoprolol"]
    assert shown.svg.count('class="track medicine"') == 2


def test_of_very_many_medicines_the_first_are_drawn_and_that_is_said() -> None:
    medicines = [MedicinePeriod(f"M{n}", None, None) for n in range(TRACKS + 2)]

    shown = picture(medicines=medicines)

    assert shown.svg.count('class="track medicine"') == TRACKS
    assert "2 more medicines are not drawn." in shown.notes


def test_the_script_is_told_what_each_column_is() -> None:
    shown = picture(series={"heart-rate": series((0, 60), (1, 64), (600, 71))})

    assert shown.readout["columns"] == [(30, 60, 64, 2), (36_000, 71, 71, 1)]
    assert shown.readout["start"] == at(0) // 1000
    assert (shown.readout["metric"], shown.readout["zone"]) == (
        "heart-rate",
        "America/New_York",
    )


def test_hostile_names_stay_text() -> None:
    evil = '"><script>alert(1)</script>'
    hostile = Metric("heart-rate", evil, "/min", 25, 250)
    heard = Heard(UTC, "UTC")
    catalogue = Catalogue({"heart-rate": hostile})
    subject = choose_subject(
        TimelineQuery(), catalogue, (detector(title=evil),), heard, NOW
    )

    shown = build_picture(
        subject, timeline_of(subject, heard), [MedicinePeriod(evil, None, None)]
    )

    assert "<script" not in shown.svg
    assert "&lt;script&gt;" in shown.svg
