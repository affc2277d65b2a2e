"""The inventory: every field of what the server is told, and no secret."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cds_service.config import (
    Clients,
    Config,
    Proof,
    ProofKind,
    WebhookSource,
    load_clients,
    load_config,
)
from cds_service.config.bench_sign_in import BenchSignIn
from cds_service.config.clouds import Cloud, Notifications
from cds_service.config.destinations import (
    DestinationTls,
    DestinationToken,
    FhirDestination,
    Hl7Destination,
)
from cds_service.config.inventory import build_inventory, digest_file
from cds_service.fhir.backend_services import SigningKey
from cds_service.fhir.forms import Added, Form
from cds_service.http.addresses import ListedServer, Reach
from cds_service.protocol.capabilities import Capabilities
from cds_service.trust import (
    ClientProfile,
    KeyFormat,
    KeyServer,
    RegisteredClient,
    SmartApp,
    TrustedClient,
    VerificationKey,
)
from cds_service.wearables.telling import Subscription, TakenDay

Write = Callable[[str], Path]
SECRET = "whsec_" + "A" * 32
OTHER_SECRET = "whsec_" + "B" * 32
CONFIG = load_config({"CDS_PROFILE": "development", "CDS_AUTH": "off"})
SERVER = ListedServer("https://fhir.example/r4")
CLIENT = TrustedClient("ehr", "north", "https://ehr.example")
FORM = Form("MedicationRequest", added=(Added("intent", ("order", "plan")),))
TAKES = Subscription("ehr", "north")
FIT = Cloud("fit", "north", "-", "google-fit", "c1", "s3cret")
TOLD = Notifications((SECRET,))
TOKEN = DestinationToken("us", "/keys/ours.pem")
FHIR = FhirDestination(TAKES, SERVER)
ENGINE = Hl7Destination(TAKES, "engine", 6661)
PRIVATE = [ec.derive_private_key(each, ec.SECP384R1()) for each in (2, 3)]
PUBLIC = [each.public_key() for each in PRIVATE]
SIGNING = SigningKey(PRIVATE[0], "ES384", "k1")
APP = SmartApp("us", key=SIGNING)
BENCH = BenchSignIn(SERVER, APP, "groups", operators=("us",))
USUAL: dict[type[Any], Any] = {
    Clients: Clients(),
    RegisteredClient: RegisteredClient(CLIENT),
    TrustedClient: CLIENT,
    SmartApp: APP,
    BenchSignIn: BENCH,
    SigningKey: SIGNING,
    ClientProfile: ClientProfile(),
    Capabilities: Capabilities(),
    KeyServer: KeyServer(SERVER),
    ListedServer: SERVER,
    Form: FORM,
    Added: FORM.added[0],
    VerificationKey: VerificationKey(("ES384",), PUBLIC[0]),
    WebhookSource: WebhookSource("watch", "north", "-", (SECRET,)),
    Proof: Proof(),
    Cloud: FIT,
    Notifications: TOLD,
    FhirDestination: FHIR,
    Hl7Destination: ENGINE,
    Subscription: TAKES,
    TakenDay: TakenDay("steps"),
    DestinationToken: TOKEN,
    DestinationTls: DestinationTls(),
}
OTHER: dict[type[Any], dict[str, Any]] = {
    Clients: {
        "clients": (RegisteredClient(CLIENT),),
        "webhooks": (WebhookSource("watch", "north", "-", (SECRET,)),),
        "destinations": (ENGINE,),
        "clouds": (FIT,),
        "consent_actors": {"north": frozenset({"Organization/us"})},
        "anonymous": CLIENT,
        "published": {"k": VerificationKey(("ES384",), PUBLIC[0])},
        "workbench": BENCH,
    },
    RegisteredClient: {
        "client": TrustedClient("other", "north", "https://ehr.example"),
        "keys": {"k": VerificationKey(("ES384",), PUBLIC[0])},
        "tenants": ("n1",),
        "key_servers": (KeyServer(SERVER),),
    },
    TrustedClient: {
        "id": "other",
        "tenant": "south",
        "issuer": "https://other.example",
        "fhir_base": "https://fhir.example",
        "fhir_servers": (SERVER,),
        "fhir_client_id": "us",
        "open_fhir_servers": (SERVER,),
        "queries": (FORM,),
        "origins": ("https://ehr.example",),
        "services": ("review",),
        "smart": APP,
        "profile": ClientProfile(strict=True),
    },
    SmartApp: {
        "client_id": "others",
        "secret": SECRET,
        "key": None,
        "issuer": "https://ehr.example/auth",
        "scopes": "v1",
        "frame_ancestors": ("https://ehr.example",),
        "user_required": True,
        "practitioner_roles": True,
        "hosts": ("auth.ehr.example",),
    },
    BenchSignIn: {
        "server": ListedServer("https://other.example"),
        "app": SmartApp("others"),
        "claim": "roles",
        "viewers": ("others",),
        "authors": ("others",),
        "operators": ("others",),
    },
    SigningKey: {"key": PRIVATE[1], "algorithm": "ES256", "kid": "k2"},
    ClientProfile: {
        "strict": True,
        "allow_replay": True,
        "constant_instance": True,
        "draws_days": False,
        "algorithms": ("RS256",),
        "lifetime": 60,
        "capabilities": Capabilities(any=True),
    },
    Capabilities: {
        "any": True,
        "action_selection_behavior": True,
        "system_actions": True,
        "autolaunchable": True,
        "fhirpath_tokens": True,
        "delete_in_resource": True,
    },
    KeyServer: {
        "server": ListedServer("https://other.example"),
        "format": KeyFormat.JWK_LIST,
        "refresh": 5,
    },
    ListedServer: {
        "url": "https://other.example",
        "reach": Reach.PRIVATE,
        "ca_file": "/etc/ca.pem",
    },
    Form: {
        "kind": "Observation",
        "without": ("_sort",),
        "one_by_one": ("code",),
        "added": (Added("status", ("final",)),),
        "as_reads": True,
    },
    Added: {"name": "status", "values": ("active",), "whole": False},
    VerificationKey: {"algorithms": ("ES256",), "key": PUBLIC[1]},
    WebhookSource: {
        "id": "other",
        "tenant": "south",
        "fhir_base": "https://fhir.example",
        "secrets": (OTHER_SECRET,),
        "formats": (),
        "time_zone": "Europe/Berlin",
        "tokens": True,
        "proof": Proof(ProofKind.NIGHTSCOUT),
    },
    Proof: {
        "kind": ProofKind.PATH,
        "header": "x-signature",
        "timestamp_header": "x-timestamp",
        "encoding": "base64",
        "prefix": "sha256=",
        "addresses": ("10.1.2.0/24",),
        "certificates": ("engine.hospital.example",),
    },
    Cloud: {
        "id": "other",
        "tenant": "south",
        "fhir_base": "https://ehr.example/fhir",
        "vendor_name": "other",
        "client_id": "c2",
        "client_secret": "other",
        "kind_names": ("steps",),
        "time_zone": "Europe/Berlin",
        "days_again": 0,
        "days_before": 0,
        "notifications": TOLD,
        "simulated": "http://127.0.0.1:9",
    },
    Notifications: {
        "secrets": (OTHER_SECRET,),
        "keys": "https://keys.example/keyset.json",
    },
    FhirDestination: {
        "takes": Subscription("ehr", "south"),
        "server": ListedServer("https://other.example"),
        "token": TOKEN,
        "write": "put",
    },
    Hl7Destination: {
        "takes": Subscription("ehr", "south"),
        "host": "other",
        "port": 1,
        "reach": Reach.PRIVATE,
        "tls": DestinationTls(),
        "version": "2.6",
        "sending_application": "X",
        "sending_facility": "X",
        "receiving_application": "X",
        "receiving_facility": "X",
        "mode": "enhanced",
        "coding": "mdc",
        "processing": "T",
        "ack_seconds": 5,
    },
    Subscription: {
        "destination": "other",
        "tenant": "south",
        "fhir_base": "https://fhir.example",
        "episodes": ("high-heart-rate",),
        "days": (TakenDay("steps"),),
        "historical": True,
        "lateness": timedelta(hours=2),
    },
    TakenDay: {"metric": "weight", "statistics": ("total",)},
    DestinationToken: {
        "client_id": "other",
        "key_file": "/keys/other.pem",
        "kid": "k1",
        "scope": "system/Observation.crus",
        "token_endpoint": "https://ehr.example/token",
    },
    DestinationTls: {
        "ca_file": "/etc/ca.pem",
        "cert_file": "/etc/ours.pem",
        "key_file": "/etc/ours.key",
    },
}
PLACES: dict[type[Any], Callable[[Any], Clients]] = {
    Clients: lambda clients: clients,
    RegisteredClient: lambda known: Clients((known,)),
    TrustedClient: lambda client: Clients((RegisteredClient(client),)),
    SmartApp: lambda app: known_as(smart=app),
    BenchSignIn: lambda sign_in: Clients(workbench=sign_in),
    SigningKey: lambda key: known_as(smart=replace(APP, key=key)),
    ClientProfile: lambda profile: known_as(profile=profile),
    Capabilities: lambda able: known_as(profile=ClientProfile(capabilities=able)),
    KeyServer: lambda keys: Clients((RegisteredClient(CLIENT, key_servers=(keys,)),)),
    ListedServer: lambda server: known_as(fhir_servers=(server,)),
    Form: lambda form: known_as(queries=(form,)),
    Added: lambda added: known_as(queries=(replace(FORM, added=(added,)),)),
    VerificationKey: lambda key: Clients((RegisteredClient(CLIENT, {"k": key}),)),
    WebhookSource: lambda source: Clients(webhooks=(source,)),
    Proof: lambda proof: Clients(
        webhooks=(WebhookSource("watch", "north", "-", (SECRET,), proof=proof),)
    ),
    Cloud: lambda told: Clients(clouds=(told,)),
    Notifications: lambda told: Clients(clouds=(replace(FIT, notifications=told),)),
    FhirDestination: lambda told: Clients(destinations=(told,)),
    Hl7Destination: lambda told: Clients(destinations=(told,)),
    Subscription: lambda takes: Clients(destinations=(replace(FHIR, takes=takes),)),
    TakenDay: lambda day: Clients(
        destinations=(replace(FHIR, takes=replace(TAKES, days=(day,))),)
    ),
    DestinationToken: lambda token: Clients(destinations=(replace(FHIR, token=token),)),
    DestinationTls: lambda tls: Clients(destinations=(replace(ENGINE, tls=tls),)),
}
OTHER_SETTINGS: dict[str, Any] = {
    "keep_days": 365,
    "audit_keep_days": 3650,
    "detection_days": 14,
    "samples_kept_days": 800,
    "summaries_kept_days": 2200,
    "quarantine_kept_days": 7,
    "answers_kept_days": 9,
    "profile": "production",
    "rules": Path("other"),
    "reload": "off",
    "database_url": "sqlite:///other.sqlite",
    "traces_url": "http://collector.example:4318/v1/traces",
    "traces_share": 0.5,
    "workbench": "off",
    "workbench_charts": Path("charts"),
    "token_key": "other",
    "token_key_file": Path("/run/secrets/key"),
    "database_url_file": Path("/run/secrets/url"),
    "database_connections": 8,
    "database_statement_timeout_ms": 2000,
    "database_lock_timeout_ms": 2000,
    "database_transaction_timeout_ms": 20_000,
    "clients_file": Path("clients.yaml"),
    "auth": "on",
    "discovery": "authenticated",
    "public_url": "https://cds.example",
    "identifier_base": "https://first.example",
    "host": "0.0.0.0",
    "port": 1,
    "workers": 2,
    "threads": 1,
    "log_level": "debug",
    "body_limit": 1024,
    "alert_body_limit": 1024,
    "source_body_limit": 1024,
    "source_value_limit": 1000,
    "quarantine_wearer_limit": 1,
    "quarantine_limit": 1,
    "source_silent_hours": 1,
    "gather_deadline_ms": 1,
    "fhir_page_limit": 1,
    "fhir_byte_limit": 1024,
    "fhir_servers": ("https://fhir.example",),
    "wearables_consent": "required",
    "jwt_lifetime_limit": 60,
    "value_limit": 1000,
    "rate_limit": 1,
    "refusal_limit": 1,
    "queue_limit": 1,
    "health_port": 9090,
    "connection_limit": 500,
    "address_connection_limit": 20,
    "held_byte_limit": 2**21,
    "arrival_deadline_ms": 5000,
    "answer_deadline_ms": 100,
    "drain_ms": 100,
    "trusted_proxies": ("10.0.0.7/32",),
    "tls_cert": Path("cert.pem"),
    "tls_key": Path("key.pem"),
    "tls_client_ca": Path("ca.pem"),
}


def known_as(**changes: Any) -> Clients:
    return Clients((RegisteredClient(replace(CLIENT, **changes)),))


def inventory_of(clients: Clients, config: Config = CONFIG) -> dict[str, Any]:
    return dict(build_inventory(config, clients, digest_file))


def types_within(kind: type[Any]) -> Iterator[type[Any]]:
    """The dataclass and every other one that its fields can hold."""
    yield kind
    hints = list(get_type_hints(kind).values())
    for hint in hints:
        hints += get_args(hint)
        if is_dataclass(hint):
            yield from types_within(hint)  # type: ignore[arg-type]


def test_everything_that_clients_consist_of_is_looked_at_below() -> None:
    assert set(types_within(Clients)) == set(OTHER) == set(USUAL) == set(PLACES)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, each.name) for kind in OTHER for each in fields(kind)],
)
def test_every_field_of_clients_and_sources_counts(kind: type[Any], name: str) -> None:
    usual = USUAL[kind]
    other = replace(usual, **{name: OTHER[kind][name]})

    assert inventory_of(PLACES[kind](usual)) != inventory_of(PLACES[kind](other))


@pytest.mark.parametrize("name", Config.model_fields)
def test_every_setting_counts(name: str) -> None:
    other = CONFIG.model_copy(update={name: OTHER_SETTINGS[name]})

    before, after = inventory_of(Clients()), inventory_of(Clients(), other)

    changed = {each for each in after if before.get(each) != after[each]}
    assert f"settings.{name}" in changed
    assert changed <= {f"settings.{name}", f"settings.{name}.sha256"}


def test_a_field_that_nobody_has_told_it_of_is_in_it() -> None:
    @dataclass(frozen=True)
    class LaterProfile(ClientProfile):
        later: int = 7
        hidden: str = field(default="a password", repr=False)

    class LaterConfig(Config):
        later: str = "a new setting"

    config = LaterConfig(profile="development", auth="off")
    found = inventory_of(known_as(profile=LaterProfile()), config)

    assert found["client.ehr.profile.later"] == 7
    assert found["client.ehr.profile.hidden"] == "afd1368cbf15"
    assert found["settings.later"] == "a new setting"


def test_a_client_and_a_source_are_told_in_the_words_of_the_clients_file(
    write: Write,
) -> None:
    file = write(f"""
clients:
  - id: ehr.north
    iss: https://ehr.example
    tenants: [n1]
    keys: [{{kty: OKP, crv: Ed25519, kid: k1,
             x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}}]
    fhir_servers: [{{url: https://fhir.example/r4, private: true}}]
    profile: {{version: "3.0", any: true, algorithms: [EdDSA]}}
  - id: clinic
    iss: https://clinic.example
    jku: {{url: https://clinic.example/jwks.json, refresh: 5}}
webhooks:
  - id: watch
    secrets: [{SECRET}]
""")

    found = inventory_of(load_clients(file, development=False, lifetime=3600))

    own = {name: found[name] for name in found if not name.startswith("settings.")}
    assert list(own) == sorted(own)
    assert own["client.clinic.jku"] == [
        {
            "url": "https://clinic.example/jwks.json",
            "reach": "public",
            "ca_file": "",
            "format": "jwk-set",
            "refresh": 5,
        }
    ]
    assert {name: own[name] for name in own if "ehr.north" in name} == {
        'client."ehr.north".id': "ehr.north",
        'client."ehr.north".tenant': "default",
        'client."ehr.north".iss': "https://ehr.example",
        'client."ehr.north".tenants': ["n1"],
        'client."ehr.north".keys': [
            "k1 kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k EdDSA"
        ],
        'client."ehr.north".jku': [],
        'client."ehr.north".fhir_base': "-",
        'client."ehr.north".fhir_servers': [
            {"url": "https://fhir.example/r4", "reach": "private", "ca_file": ""}
        ],
        'client."ehr.north".fhir_client_id': "",
        'client."ehr.north".open_fhir_servers': [],
        'client."ehr.north".queries': [],
        'client."ehr.north".origins': [],
        'client."ehr.north".services': [],
        'client."ehr.north".smart': None,
        'client."ehr.north".profile.strict': False,
        'client."ehr.north".profile.allow_replay': False,
        'client."ehr.north".profile.constant_instance': False,
        'client."ehr.north".profile.draws_days': True,
        'client."ehr.north".profile.algorithms': ["EdDSA"],
        'client."ehr.north".profile.lifetime': 3600,
        'client."ehr.north".profile.any': True,
        'client."ehr.north".profile.action_selection_behavior': False,
        'client."ehr.north".profile.system_actions': False,
        'client."ehr.north".profile.autolaunchable': False,
        'client."ehr.north".profile.fhirpath_tokens': False,
        'client."ehr.north".profile.delete_in_resource': False,
    }
    assert {name: own[name] for name in own if name.startswith("webhook.")} == {
        "webhook.watch.id": "watch",
        "webhook.watch.tenant": "default",
        "webhook.watch.fhir_base": "-",
        "webhook.watch.secrets": ["d3a8bab513ad"],
        "webhook.watch.formats": ["alerts"],
        "webhook.watch.time_zone": "",
        "webhook.watch.tokens": False,
        "webhook.watch.proof.kind": "standard-webhooks",
        "webhook.watch.proof.header": "",
        "webhook.watch.proof.timestamp_header": "",
        "webhook.watch.proof.encoding": "hex",
        "webhook.watch.proof.prefix": "",
        "webhook.watch.proof.addresses": [],
        "webhook.watch.proof.certificates": [],
    }


def test_where_trust_is_off_it_says_that_anybody_is_answered() -> None:
    found = inventory_of(CONFIG.clients)

    assert found["settings.auth"] == "off"
    assert found["anonymous.tenant"] == "default"


def test_no_secret_password_or_private_key_is_in_it(
    write: Write, tmp_path: Path
) -> None:
    listed, beside = "whsec_" + "Marked0one" * 4, "whsec_" + "Marked0two" * 4
    private = "MarkedPrivateKey"
    pem = f"-----BEGIN EC PRIVATE KEY-----\n{private}\n-----END EC PRIVATE KEY-----\n"
    (tmp_path / "tls.pem").write_text(pem + "a certificate")
    (tmp_path / "w.secrets").write_text(beside)
    clients = write(
        f"webhooks: [{{id: w, secrets: [{listed}], secrets_file: w.secrets}}]"
    )
    url = "postgresql+psycopg://cds:MarkedPassword@db/cds?password=MarkedPassword"
    config = load_config(
        {
            "CDS_PROFILE": "development",
            "CDS_CLIENTS_FILE": str(clients),
            "CDS_DATABASE_URL": url,
            "CDS_TLS_CERT": str(tmp_path / "tls.pem"),
            "CDS_TLS_KEY": str(tmp_path / "tls.pem"),
        }
    )

    text = json.dumps(inventory_of(config.clients, config))

    assert "Marked" not in text
    assert "postgresql+psycopg://cds:***@db/cds" in text
    for hidden in (private, pem, listed, beside):
        assert hashlib.sha256(hidden.encode()).hexdigest() not in text
    assert text.count(str(tmp_path / "tls.pem")) == 2
    assert hashlib.sha256(b"\na certificate").hexdigest() in text


def test_of_files_that_may_be_known_the_content_counts_as_well(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    clients = known_as(fhir_servers=(replace(SERVER, ca_file=str(file)),))

    missing = inventory_of(clients)["client.ehr.fhir_servers"]
    file.write_text("an authority")
    present = inventory_of(clients)["client.ehr.fhir_servers"]

    assert missing[0]["ca_file.sha256"] == "unreadable"
    digest = "3e61c966817d360b78e87e3b6345614805080d1a5c341fe2c504626f01298275"
    assert present[0]["ca_file.sha256"] == digest
    assert present[0]["ca_file"] == str(file)
