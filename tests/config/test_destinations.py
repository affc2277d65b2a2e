"""Destinations in the clients file: who is told of what, refused by field."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import certifi
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from cds_service.config import Clients, InvalidConfig, load_clients, load_config
from cds_service.config.destinations import (
    DestinationTls,
    DestinationToken,
    FhirDestination,
    Hl7Destination,
    find_untold,
)
from cds_service.config.inventory import build_inventory, digest_file
from cds_service.http.addresses import ListedServer, Reach
from cds_service.wearables.telling import Subscription, TakenDay

from ..shipped import rulebook

Write = Callable[[str], Path]
WATCH = "webhooks: [{id: watch, tenant: north, secrets: [whsec_" + "A" * 32 + "]}]\n"


def load(file: Path, *, development: bool = False) -> Clients:
    return load_clients(file, development=development, lifetime=3600)


def problems(file: Path, *, development: bool = False) -> list[str]:
    with pytest.raises(InvalidConfig) as refused:
        load(file, development=development)
    return [each.replace(f"{file.parent}/", "") for each in refused.value.problems]


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP384R1())
    file = tmp_path / "ours.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return file


def test_a_fhir_server_is_told_of_every_episode_and_of_no_day(write: Write) -> None:
    file = write(WATCH + """
destinations:
  - {id: ehr, kind: fhir, tenant: north, url: "https://ehr.example/fhir/"}
""")

    assert load(file).destinations == (
        FhirDestination(
            Subscription("ehr", "north"), ListedServer("https://ehr.example/fhir")
        ),
    )


def test_everything_about_a_fhir_server_can_be_said(
    write: Write, key_file: Path
) -> None:
    (key_file.parent / "ca.pem").write_text(Path(certifi.where()).read_text("utf-8"))
    file = write(WATCH + """
destinations:
  - id: ehr
    kind: fhir
    tenant: north
    fhir_base: https://ehr.example/fhir
    url: https://fhir.inside/r4
    private: true
    ca_file: ca.pem
    token:
      client_id: us
      key_file: ours.pem
      kid: k1
      scope: system/Observation.crus
      token_endpoint: https://ehr.example/token
    write: put
    episodes: [high-heart-rate]
    days: {steps: [total], heart-rate: [min, "band:high"]}
    historical: true
    lateness_minutes: 180
""")

    (told,) = load(file).destinations

    assert told == FhirDestination(
        Subscription(
            destination="ehr",
            tenant="north",
            fhir_base="https://ehr.example/fhir",
            episodes=("high-heart-rate",),
            days=(
                TakenDay("steps", ("total",)),
                TakenDay("heart-rate", ("min", "band:high")),
            ),
            historical=True,
            lateness=timedelta(hours=3),
        ),
        ListedServer(
            "https://fhir.inside/r4", Reach.PRIVATE, str(key_file.parent / "ca.pem")
        ),
        DestinationToken(
            *("us", str(key_file), "k1", "system/Observation.crus"),
            "https://ehr.example/token",
        ),
        "put",
    )


def test_everything_about_an_engine_can_be_said(write: Write) -> None:
    file = write(WATCH + """
destinations:
  - id: engine
    kind: hl7
    tenant: north
    host: mirth.hospital.internal
    port: 6661
    private: true
    tls: {}
    version: 2.5
    sending_application: CDS
    sending_facility: WEAR
    receiving_application: LAB
    receiving_facility: MAIN
    mode: enhanced
    coding: mdc
    processing: T
    ack_seconds: 5
    episodes: all
    days: [steps]
""")

    assert load(file).destinations == (
        Hl7Destination(
            Subscription("engine", "north", days=(TakenDay("steps"),)),
            *("mirth.hospital.internal", 6661, Reach.PRIVATE, DestinationTls()),
            *("2.5", "CDS", "WEAR", "LAB", "MAIN", "enhanced", "mdc", "T", 5),
        ),
    )


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("{id: e, kind: soap}", "destinations[0]: kind must be one of fhir, hl7"),
        ("{id: e}", "destinations[0]: kind must be one of fhir, hl7"),
        (
            "{id: e, kind: fhir, url: 'https://a.example', urll: 1}",
            "destinations[0].urll: unknown field; did you mean `url`?",
        ),
        (
            "{id: e, kind: fhir, tenant: north, url: 'http://a.example'}",
            "destinations[0].url: must begin with https:// outside development",
        ),
        (
            "{id: e, kind: fhir, tenant: south, url: 'https://a.example'}",
            "destinations[0].tenant: no client, webhook or cloud has this tenant",
        ),
        (
            "{id: e, kind: fhir, tenant: north, url: 'https://a.example',"
            " days: {steps: [most]}}",
            "destinations[0].days.steps[0]: must be one of min, max, mean,"
            " median, total, coverage, worn, or band:<name>",
        ),
        (
            "{id: e, kind: fhir, tenant: north, url: 'https://a.example',"
            " token: {client_id: us, key_file: gone.pem}}",
            "destinations[0].token.key_file: gone.pem: No such file or directory",
        ),
        (
            "{id: e, kind: hl7, tenant: north, host: engine, port: 70000}",
            "destinations[0].port: input should be less than or equal to 65535",
        ),
        (
            "{id: e, kind: hl7, tenant: north, host: engine, port: 1,"
            " receiving_facility: 'A^B'}",
            r"destinations[0].receiving_facility: must be printable text without any"
            r" of | ^ ~ \ &",
        ),
        (
            "{id: e, kind: hl7, tenant: north, host: engine, port: 1,"
            " tls: {cert_file: ours.pem}}",
            "destinations[0].tls: cert_file and key_file belong together",
        ),
    ],
)
def test_what_is_wrong_with_a_destination_is_told_with_its_place(
    write: Write, entry: str, complaint: str
) -> None:
    file = write(f"{WATCH}destinations: [{entry}]\n")

    (told,) = problems(file)
    place, _, message = told.partition(": ")
    assert message == complaint
    assert place.startswith("clients.yaml:2:")


def test_a_key_file_without_a_key_is_refused(write: Write, tmp_path: Path) -> None:
    (tmp_path / "ours.pem").write_text("-----BEGIN nothing")
    file = write(WATCH + """
destinations:
  - id: ehr
    kind: fhir
    tenant: north
    url: https://ehr.example
    token: {client_id: us, key_file: ours.pem}
""")

    assert problems(file) == [
        "clients.yaml:8:38: destinations[0].token.key_file: ours.pem: holds no private"
        " key as PEM"
    ]


def test_a_certificate_without_its_key_is_refused(write: Write, key_file: Path) -> None:
    (key_file.parent / "cert.pem").write_text("no certificate")
    file = write(WATCH + """
destinations:
  - id: engine
    kind: hl7
    tenant: north
    host: engine
    port: 6661
    tls: {cert_file: cert.pem, key_file: ours.pem}
""")

    assert problems(file) == [
        "clients.yaml:9:22: destinations[0].tls.cert_file: cert.pem: holds no"
        " certificate with this key"
    ]


def test_two_destinations_have_two_ids(write: Write) -> None:
    one = "{id: e, kind: hl7, tenant: north, host: engine, port: 1}"
    file = write(f"{WATCH}destinations: [{one}, {one}]\n")

    assert problems(file) == [
        "clients.yaml:2:79: destinations[1].id: 'e' is already used"
    ]


def test_an_engine_without_tls_is_told_of_loudly_in_production(write: Write) -> None:
    file = write(WATCH + """
destinations:
  - {id: engine, kind: hl7, tenant: north, host: engine, port: 6661}
""")
    config = load_config(
        {"CDS_CLIENTS_FILE": str(file), "CDS_PUBLIC_URL": "https://cds.example"}
    )

    assert config.warnings() == ["destination engine: messages are sent unencrypted"]


def test_the_inventory_tells_of_destinations_and_of_no_key(
    write: Write, key_file: Path
) -> None:
    file = write(WATCH + """
destinations:
  - id: ehr
    kind: fhir
    tenant: north
    url: https://ehr.example
    token: {client_id: us, key_file: ours.pem, kid: k1}
    days: {steps: [total]}
""")
    config = load_config({"CDS_PROFILE": "development", "CDS_AUTH": "off"})

    told = build_inventory(config, load(file), digest_file)

    assert {n: v for n, v in told.items() if n.startswith("destination.")} == {
        "destination.ehr.ca_file": "",
        "destination.ehr.days": [{"metric": "steps", "statistics": ["total"]}],
        "destination.ehr.episodes": None,
        "destination.ehr.fhir_base": "-",
        "destination.ehr.historical": False,
        "destination.ehr.id": "ehr",
        "destination.ehr.lateness": 3600.0,
        "destination.ehr.reach": "public",
        "destination.ehr.tenant": "north",
        "destination.ehr.token.client_id": "us",
        "destination.ehr.token.key_file": str(key_file),
        "destination.ehr.token.kid": "k1",
        "destination.ehr.token.scope": "",
        "destination.ehr.token.token_endpoint": "",
        "destination.ehr.url": "https://ehr.example",
        "destination.ehr.write": "auto",
    }
    assert "PRIVATE KEY" not in json.dumps(told)


def test_what_no_rules_tell_is_said_with_the_names_that_there_are(write: Write) -> None:
    file = write(WATCH + """
destinations:
  - id: ehr
    kind: fhir
    tenant: north
    url: https://ehr.example/fhir/
    episodes: [high-heart-rate, hihg-heart-rate]
    days: {steps: [total, median], body-weight: [], sensor-glucose: ["band:nowhere"]}
""")

    alert, steps, weight, glucose = find_untold(
        load(file).destinations, rulebook().catalogue
    )

    assert "destination ehr: no alert is a 'hihg-heart-rate'; they are" in alert
    assert "high-heart-rate, " in alert
    assert steps == (
        "destination ehr: no 'median' of days of steps is told;"
        " outputs.yaml tells total"
    )
    assert "no days of 'body-weight' are told; outputs.yaml tells those of" in weight
    assert "no 'band:nowhere' of days of sensor-glucose is told" in glucose
    assert "band:" in glucose.partition("outputs.yaml")[2]


def test_of_what_the_rules_tell_nothing_is_said(write: Write) -> None:
    file = write(WATCH + """
destinations:
  - id: ehr
    kind: fhir
    tenant: north
    url: https://ehr.example/fhir/
    episodes: [high-heart-rate]
    days: {steps: [total], heart-rate: []}
""")

    assert [*find_untold(load(file).destinations, rulebook().catalogue)] == []
