"""A server that asks nobody for a token."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from cds_service.app import create_app
from cds_service.config import load_config
from cds_service.rulebook.load import check_folder
from cds_service.starting import build_world

RULES = Path(__file__).parents[2] / "rules"


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
