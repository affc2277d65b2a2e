"""A server that asks nobody for a token, and how many examples it is tried with."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings

from cds_service.app import build_world, create_app
from cds_service.config import load_config
from cds_service.rulebook.load import check_folder

RULES = Path(__file__).parents[2] / "rules"
EXAMPLES = int(os.environ.get("CDS_FUZZ_EXAMPLES", "60"))
"""Of each property; the long run sets thousands."""

settings.register_profile(
    "fuzz",
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=EXAMPLES < 1000,
)
settings.load_profile("fuzz")


@pytest.fixture(scope="session")
def secret() -> str:
    """What deliveries are signed with."""
    return "whsec_c2VjcmV0LW9mLXRoZS1kZW1vLXdhdGNoLWhlcmU="


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory, secret: str) -> Iterator[Flask]:
    """The whole server with the shipped rules, in this process."""
    folder = tmp_path_factory.mktemp("fuzz")
    watch = {"id": "watch", "secrets": [secret], "formats": ["alerts", "consents"]}
    clients = folder / "clients.yaml"
    clients.write_text(json.dumps({"webhooks": [watch]}))
    config = load_config(
        {
            "CDS_PROFILE": "development",
            "CDS_AUTH": "off",
            "CDS_CLIENTS_FILE": str(clients),
            "CDS_DATABASE_URL": f"sqlite:///{folder / 'fuzz.sqlite'}",
        }
    )
    world = build_world(config, check_folder(RULES).rulebook)
    world.store.migrate()
    yield create_app(world=world)
    world.store.close()
    world.fhir.close()
