"""A server whose metrics are read, for what is written about them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from cds_service.app import build_world, create_app
from cds_service.config import load_config
from cds_service.rulebook.load import check_folder

HOME = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def families(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Metric]]:
    """What ``/metrics`` holds once everything that is counted has happened.

    Without when a process began to count, which several of them do not tell.
    """
    folder = tmp_path_factory.mktemp("deploy")
    config = load_config(
        {
            "CDS_PROFILE": "development",
            "CDS_AUTH": "off",
            "CDS_DATABASE_URL": f"sqlite:///{folder / 'store.sqlite'}",
        }
    )
    world = build_world(config, check_folder(HOME / "rules").rulebook)
    world.store.migrate()
    app = create_app(world=world)
    http, counted = app.test_client(), app.extensions["cds_metrics"]
    assert http.get("/cds-services").status_code == 200
    counted.count_card("wearable-review", "warning")
    counted.count_suppressed("wearable-review", "repeated")
    counted.count_unusable("Observation", "a unit of something else")
    counted.count_foreign("Observation", 1)
    counted.count_withheld("wearable-review", 1)
    counted.count_halves("fhir", 1)
    counted.count_store_failure("SQLITE_FULL")
    counted.count_given_up("late")
    told = text_string_to_metric_families(http.get("/metrics").text)
    yield [each for each in told if not each.name.endswith("_created")]
    world.store.close()
    world.fhir.close()
