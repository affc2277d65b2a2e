"""What a link says of readings whose source does not tell how long they were."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from cds_service.config import WebhookSource
from cds_service.ingestion.whose import Deliverer, OwnedItem, place_items
from cds_service.wearables.links import WearerLink
from cds_service.wearables.records import PatientKey
from cds_service.wearables.samples import Flag, Sample, SourceWearer

WEST = timezone(-timedelta(hours=5))
AT = datetime(2026, 11, 22, tzinfo=WEST)
DAY = timedelta(days=1)
LINK = WearerLink("phone", PatientKey("demo", "-", "p1"), AT - DAY, user="u-7")
MEAN = Sample(
    "heart-rate",
    61.0,
    "/min",
    AT,
    AT,
    wearer=SourceWearer(user="u-7"),
    flags=Flag.GROUPED,
)
SUM = replace(
    MEAN,
    metric="steps",
    end=AT + DAY,
    flags=Flag.GROUPED | Flag.DAY_TOTAL,
)


def placed(sample: Sample, grouping: timedelta | None) -> Sample:
    deliverer = Deliverer(WebhookSource("phone", "demo", "-", ()))
    link = replace(LINK, grouping=grouping)
    (found,) = place_items([sample], deliverer, [link], AT + 2 * DAY)
    assert isinstance(found, OwnedItem) and isinstance(found.item, Sample)
    return found.item


def test_a_mean_is_of_the_minutes_that_the_link_tells() -> None:
    told = placed(MEAN, timedelta(minutes=5))

    assert (told.end, told.flags) == (AT + timedelta(minutes=5), Flag(0))


def test_without_a_word_of_the_link_it_stays_of_nobody_knows_how_long() -> None:
    assert placed(MEAN, None) == MEAN
    assert placed(SUM, None) == SUM


def test_a_sum_at_midnight_is_of_minutes_where_the_link_says_so_and_not_of_a_day() -> (
    None
):
    told = placed(SUM, timedelta(minutes=1))

    assert (told.end, told.flags) == (AT + timedelta(minutes=1), Flag(0))


def test_a_sum_of_a_day_is_as_long_as_the_day_was() -> None:
    long = replace(SUM, end=AT + timedelta(hours=25))

    told = placed(long, DAY)

    assert (told.end, told.flags) == (long.end, Flag.DAY_TOTAL)
