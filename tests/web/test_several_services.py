"""Several services on one hook, and one id on several hooks."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cds_service.decision import World
from cds_service.publishing.serving import Serving
from cds_service.rulebook.compile.compiler import compile_rulebook
from cds_service.rulebook.load import read_folder

RULES = Path(__file__).parents[2] / "rules"
SERVICES = """\
format: 1
services:
  - id: wearable-review
    hooks: [patient-view, encounter-start]
    title: Review
    description: Looks at everything.
    rules: [cardiology]
  - id: slow-hearts
    hooks: [patient-view]
    title: Slow hearts
    description: Looks at slow hearts alone.
    rules: [av-nodal-agent-bradycardia]
"""
SHOWN_EACH_TIME = """\
rules:
  beta-blocker-resting-tachycardia: {repeat_after: 0 days}
"""


@pytest.fixture
def ehr(build: Callable[..., World], connect: Callable[[World], Any]) -> Any:
    """An EHR before a server with two services on three endpoints."""
    rule = "cardiology/beta-blocker-resting-tachycardia.yaml"
    files = {**read_folder(RULES), "services.yaml": SERVICES}
    files["site.yaml"] += SHOWN_EACH_TIME
    files[rule] = files[rule].replace(
        "[patient-view]", "[patient-view, encounter-start]"
    )
    compiled = compile_rulebook(files)
    assert compiled.rulebook, compiled.findings
    world = build()
    return connect(replace(world, serving=Serving(compiled.rulebook, world.clock())))


def test_d_10_d_11_discovery_lists_each_pair_of_id_and_hook_once(ehr: Any) -> None:
    entries = ehr.http.get("/cds-services").json["services"]

    assert [(each["id"], each["hook"]) for each in entries] == [
        ("wearable-review", "patient-view"),
        ("wearable-review", "encounter-start"),
        ("slow-hearts", "patient-view"),
    ]


def test_d_11_one_id_answers_on_each_of_its_hooks(ehr: Any, request_body: Any) -> None:
    context = {**request_body["context"], "encounterId": "e1"}
    starting = {**request_body, "hook": "encounter-start", "context": context}

    viewed, started = ehr.call(request_body), ehr.call(starting)

    assert (viewed.status_code, started.status_code) == (200, 200)
    summaries = [answer.json["cards"][0]["summary"] for answer in (viewed, started)]
    assert summaries[0] == summaries[1]


def test_two_services_on_one_hook_answer_each_with_its_own_rules(
    ehr: Any, request_body: Any
) -> None:
    everything = ehr.call(request_body)
    slow_hearts = ehr.send("/cds-services/slow-hearts", request_body)
    not_there = ehr.send(
        "/cds-services/slow-hearts", {**request_body, "hook": "encounter-start"}
    )

    assert len(everything.json["cards"]) == 1
    assert slow_hearts.json == {"cards": []}
    assert not_there.status_code == 400
