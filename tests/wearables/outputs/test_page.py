"""What the page for EHRs shows of wearables is what arrives."""

import json
import re
from pathlib import Path

from cds_service.wearables.outputs.observations import (
    day_observations,
    episode_observation,
)
from cds_service.wearables.telling import DAY, EPISODE, day_key, episode_key

from .things import FRAME, LATER, a_day, an_episode

PAGE = (Path(__file__).parents[3] / "docs" / "ehr.md").read_text("utf-8")


def test_what_the_page_for_ehrs_shows_is_what_arrives() -> None:
    section = PAGE.partition("## Wearable data in the EHR\n")[2].partition("\n## ")[0]
    shown = re.findall(r"^```json\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    alert, day = an_episode(), a_day(worn=1310.4)
    episode = (EPISODE, episode_key(alert.source, alert.id))
    steps = (DAY, day_key(day.metric, str(day.day), day.part))

    assert list(map(json.loads, shown)) == [
        episode_observation(alert, episode, "final", FRAME),
        day_observations(day, steps, "final", FRAME, LATER)["total"],
    ]
