"""A FHIR destination of the clients file is opened, and proves who it is."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from cds_service.config.destinations import DestinationToken, FhirDestination
from cds_service.delivery.opening import Needs, NotOpened, open_destinations
from cds_service.delivery.records import Accepted
from cds_service.http.addresses import ListedServer, Reach
from cds_service.wearables.telling import Subscription

from ..shipped import rulebook
from ..wearables.outputs.things import an_episode
from .fhir_simulator import Hospital, serving
from .test_fhir import of


@pytest.fixture
def needs() -> Needs:
    """What a deliverer has at hand."""
    return Needs(rulebook, "https://cds.example.org", lambda event, **facts: None)


@pytest.fixture
def token(tmp_path: Path) -> DestinationToken:
    """As whom we are registered."""
    key = ec.generate_private_key(ec.SECP384R1())
    file = tmp_path / "ours.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    file.chmod(0o600)
    return DestinationToken("cds-service", str(file), kid="k1")


def destination(url: str, token: DestinationToken | None = None) -> FhirDestination:
    server = ListedServer(url, Reach.LOCAL)
    return FhirDestination(Subscription("ehr", "default"), server, token)


def test_a_destination_is_told_with_a_token_for_what_it_writes(
    needs: Needs, token: DestinationToken
) -> None:
    hospital = Hospital(token="of-the-hospital")
    with serving(hospital) as url:
        (opened,) = open_destinations([destination(url, token)], needs)
        reply = opened.send(of(an_episode()), time.monotonic() + 30)
        opened.close()

    assert isinstance(reply, Accepted)
    (only,) = hospital.standing()
    assert only["identifier"][0]["system"] == "https://cds.example.org/observation"
    (asked,) = hospital.grants
    assert asked["grant_type"] == "client_credentials"
    assert asked["scope"] == (
        "system/Observation.crus system/Device.crus system/Provenance.crus"
    )


def test_without_a_token_none_is_asked_for(needs: Needs) -> None:
    hospital = Hospital()
    with serving(hospital) as url:
        (opened,) = open_destinations([destination(url)], needs)
        reply = opened.send(of(an_episode()), time.monotonic() + 30)
        opened.close()

    assert isinstance(reply, Accepted)
    assert hospital.grants == []


def test_a_key_that_is_gone_is_said_when_the_destination_is_opened(
    needs: Needs, token: DestinationToken
) -> None:
    Path(token.key_file).unlink()

    with pytest.raises(NotOpened, match="destination ehr: "):
        open_destinations([destination("http://127.0.0.1:9/fhir", token)], needs)


def test_a_scope_of_the_clients_file_is_asked_for_instead(
    needs: Needs, token: DestinationToken
) -> None:
    hospital = Hospital(token="t")
    own = replace(token, scope="system/Observation.c")
    with serving(hospital) as url:
        (opened,) = open_destinations([destination(url, own)], needs)
        opened.send(of(an_episode()), time.monotonic() + 30)
        opened.close()

    assert hospital.grants[0]["scope"] == "system/Observation.c"
