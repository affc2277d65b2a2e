"""Episodes, summaries and tallies to rows and back."""

import json
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from ...wearables.detection.detectors import Decline, Detector, Gain
from ...wearables.detection.episodes import (
    Closing,
    DayTally,
    Episode,
    NotJudged,
    StoredEpisode,
)
from ...wearables.records import PatientKey, WearableAlert
from ...wearables.samples import microseconds
from ...wearables.summaries import DaySummary
from ..rows import Values, alert_row, canonical_json, wearable_alert
from ..samples.rows import moment
from .tables import STATISTICS

ORIGIN = "detector"
NO_BANDS = "{}"


def episode_row(
    patient: PatientKey, stored: StoredEpisode, of: Detector, stored_us: int
) -> Values:
    """Return the row of ``wearable_alerts`` of an episode that a detector has found."""
    episode = stored.episode
    alert = WearableAlert(
        id=stored.id,
        patient=patient,
        type=episode.alert_type,
        start=episode.start,
        opened=episode.opened,
        end=episode.end,
        local=episode.local,
        metric=of.metric,
        value=episode.peak,
        unit=of.unit,
        stat="max" if _looks_for_high(of) else "min",
        threshold=episode.threshold,
        status="open" if episode.closing is Closing.LASTS else "closed",
        rev=stored.rev,
        origin=ORIGIN,
        device=episode.device,
        source=episode.source,
        coverage=episode.coverage,
        n=episode.n,
        detector=of.name,
        historical=stored.historical,
        median=episode.median,
        last=episode.last,
    )
    return {
        **alert_row(alert),
        "version": episode.version,
        "closing": str(episode.closing),
        "stored_us": stored_us,
    }


def stored_episode(row: Any) -> StoredEpisode:
    """Return the episode that a row of ``wearable_alerts`` holds."""
    alert = wearable_alert(row)
    assert alert.last is not None
    episode = Episode(
        detector=alert.detector,
        version=row.version,
        alert_type=alert.type,
        start=alert.start,
        opened=alert.opened,
        last=alert.last,
        end=alert.end,
        closing=Closing(row.closing),
        peak=row.value,
        median=row.median,
        threshold=row.threshold,
        n=row.n,
        coverage=row.coverage,
        source=alert.source,
        device=alert.device,
        local=alert.local,
    )
    return StoredEpisode(alert.id, alert.rev, episode, alert.historical)


def summary_row(
    patient: PatientKey, summary: DaySummary, computed_us: int
) -> dict[str, Any]:
    """Return the row of ``day_summaries``."""
    return {
        **patient._asdict(),
        "metric": summary.metric,
        "day": summary.day.isoformat(),
        "part": summary.part,
        "source": summary.source,
        "zone": summary.zone,
        "minutes": summary.minutes,
        "n": summary.n,
        **{name: getattr(summary, name) for name in STATISTICS},
        "bands": canonical_json(dict(summary.bands)),
        "first_us": _us(summary.first),
        "last_us": _us(summary.last),
        "sources": canonical_json(list(summary.sources)),
        "devices": canonical_json(list(summary.devices)),
        "version": summary.version,
        "computed_us": computed_us,
    }


def day_summary(row: Any) -> DaySummary:
    """Return the summary that a row of ``day_summaries`` holds."""
    return DaySummary(
        metric=row.metric,
        day=date.fromisoformat(row.day),
        part=row.part,
        source=row.source,
        zone=row.zone,
        minutes=row.minutes,
        n=row.n,
        **{name: getattr(row, name) for name in STATISTICS},
        bands=json.loads(row.bands) if row.bands != NO_BANDS else {},
        first=None if row.first_us is None else moment(row.first_us),
        last=None if row.last_us is None else moment(row.last_us),
        sources=_names(row.sources),
        devices=_names(row.devices),
        version=row.version,
    )


@lru_cache(maxsize=1024)
def _names(text: str) -> tuple[str, ...]:
    """The names of a list, which are the same day after day."""
    return tuple(json.loads(text))


def tally_row(patient: PatientKey, tally: DayTally, by: Detector) -> Mapping[str, Any]:
    """Return the row of ``detector_days``."""
    reasons = {str(each): number for each, number in tally.not_judged.items()}
    return {
        **patient._asdict(),
        "detector": tally.detector,
        "day": tally.day.isoformat(),
        "source": tally.source,
        "judged": tally.judged,
        "not_judged": canonical_json(reasons),
        "opened": tally.opened,
        "judged_by": by.content,
    }


def day_tally(row: Any) -> DayTally:
    """Return the tally that a row of ``detector_days`` holds."""
    reasons = json.loads(row.not_judged)
    return DayTally(
        detector=row.detector,
        day=date.fromisoformat(row.day),
        source=row.source,
        judged=row.judged,
        not_judged={NotJudged(each): number for each, number in reasons.items()},
        opened=row.opened,
    )


def _looks_for_high(detector: Detector) -> bool:
    match detector.pattern:
        case Gain():
            return True
        case Decline():
            return False
        case pattern:
            return pattern.direction.is_high


def _us(at: datetime | None) -> int | None:
    return None if at is None else microseconds(at)
