"""Config: every setting is a field, ``CDS_<NAME>`` in the environment.

A value that cannot be used keeps the server from starting, and so does a name that is
a slip of the pen. Other variables that begin with ``CDS_`` are left alone: Kubernetes
sets some for a service of that name.
"""

from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ..http.addresses import ListedServer, Reach
from ..store.database import DatabaseLimits
from ..store.upkeep.pruning import Keep
from ..trust import DEFAULT_LIFETIME, ClientProfile, TrustedClient
from .clients import Clients, load_clients
from .problems import InvalidConfig
from .values import (
    Auth,
    BaseUrl,
    ConsentMode,
    Discovery,
    FhirUrls,
    LogLevel,
    Networks,
    Profile,
    Reload,
    TracesUrl,
)

PREFIX = "CDS_"
MIB = 1024 * 1024
_PORT = 8080


class Config(BaseSettings):
    """Every setting of the server; read once and never changed."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    profile: Profile = Field(
        default=Profile.PRODUCTION,
        description="`development` allows http, loopback FHIR servers and auth off.",
    )
    rules: Path = Field(default=Path("rules"), description="Folder of the rulebook.")
    reload: Reload = Field(
        default=Reload.ON,
        description="`off` reads the rules at start and by `cds-service publish` only.",
    )
    database_url: str = Field(
        default="sqlite:///var/cds-service.sqlite",
        description="Database: `sqlite:///` and a file, `sqlite:////` for a full path;"
        " `postgresql+psycopg://user@host/database` for several machines.",
    )
    database_url_file: Path | None = Field(
        default=None,
        description="File that holds `CDS_DATABASE_URL` in its place, so that no"
        " password stands in the environment.",
    )
    database_connections: int = Field(
        default=16,
        ge=2,
        le=200,
        description="Connections to PostgreSQL that a process may have at a time; one"
        " is opened when a thread has work for it.",
    )
    database_statement_timeout_ms: int = Field(
        default=10_000,
        ge=100,
        le=600_000,
        description="Milliseconds that PostgreSQL may take for one statement before the"
        " request is answered 503.",
    )
    database_lock_timeout_ms: int = Field(
        default=5000,
        ge=100,
        le=600_000,
        description="Milliseconds that a request waits for a lock of PostgreSQL, or for"
        " a connection while others have them all, before it is answered 503.",
    )
    database_transaction_timeout_ms: int = Field(
        default=30_000,
        ge=100,
        le=3_600_000,
        description="Milliseconds that a transaction may be open in PostgreSQL before"
        " it is given up; before version 17, one in which nothing is asked.",
    )
    clients_file: Path | None = Field(
        default=None,
        description="YAML file of clients and webhook sources; needed with auth.",
    )
    auth: Auth = Field(
        default=Auth.ON, description="`off` answers anybody; only in development."
    )
    discovery: Discovery = Field(
        default=Discovery.OPEN,
        description="`authenticated` asks for a token there as well.",
    )
    public_url: BaseUrl = Field(
        default="",
        description="Base URL that clients call, and the start of every token's `aud`;"
        " https in production, in development by default http://host:port.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=_PORT, ge=0, le=65535, description="Port to listen on.")
    health_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port for `/health/live` and `/health/ready` alone, in plain HTTP;"
        " answered however busy the other is.",
    )
    workers: int = Field(default=1, ge=1, le=256, description="Worker processes.")
    threads: int = Field(
        default=64,
        ge=1,
        le=256,
        description="Threads in a worker: calls at once, most of which wait for FHIR.",
    )
    log_level: LogLevel = Field(
        default=LogLevel.INFO, description="`debug`, `info`, `warning` or `error`."
    )
    body_limit: int = Field(
        default=MIB, ge=1024, le=64 * MIB, description="Bytes of a call or feedback."
    )
    alert_body_limit: int = Field(
        default=MIB // 4,
        ge=1024,
        le=64 * MIB,
        description="Bytes of a delivery of alerts or consents.",
    )
    source_body_limit: int = Field(
        default=16 * MIB,
        ge=1024,
        le=256 * MIB,
        description="Bytes of a delivery of readings.",
    )
    source_value_limit: int = Field(
        default=2_000_000, ge=1000, description="Members and items of readings."
    )
    quarantine_wearer_limit: int = Field(
        default=10_000,
        ge=0,
        description="Readings that are held of one wearer whom nobody knows.",
    )
    quarantine_limit: int = Field(
        default=200_000, ge=0, description="Likewise, of all of them together."
    )
    detection_days: int = Field(
        default=7,
        ge=1,
        description="Days of readings that are judged in one transaction; of a longer"
        " delivery they are judged after its answer.",
    )
    source_silent_hours: int = Field(
        default=24,
        ge=0,
        description="Hours after which a source whose readings came before, and come no"
        " more, is silent for `/health` and `/metrics`; 0 looks for none.",
    )
    gather_deadline_ms: int = Field(
        default=400,
        ge=1,
        le=60_000,
        description="From a call's arrival, milliseconds for reading from FHIR.",
    )
    fhir_page_limit: int = Field(
        default=10, ge=1, le=1000, description="Pages that are read of one search."
    )
    fhir_byte_limit: int = Field(
        default=8 * MIB,
        ge=1024,
        description="Bytes that are read from FHIR for one call.",
    )
    fhir_servers: FhirUrls = Field(
        default=(),
        description="With auth off: FHIR servers that may be read without a token,"
        " separated by commas.",
    )
    wearables_consent: ConsentMode = Field(
        default=ConsentMode.REQUIRED,
        description="`required` stores and shows wearable data under a FHIR Consent"
        " only; `assumed`, the default in development, until a patient objects.",
    )
    jwt_lifetime_limit: int = Field(
        default=DEFAULT_LIFETIME,
        ge=60,
        le=86_400,
        description="Seconds that a token may live where a client's profile is silent.",
    )
    value_limit: int = Field(
        default=100_000, ge=1000, description="Members and items in one JSON body."
    )
    rate_limit: int = Field(
        default=6000,
        ge=0,
        description="Calls a minute of one client, deliveries of one source, at each"
        " worker; more are answered 429. 0, the default in development, is no limit.",
    )
    refusal_limit: int = Field(
        default=1200,
        ge=0,
        description="Messages a minute from one address whose sender is not recognised,"
        " at each worker, before all from there are answered 429; 0 as above.",
    )
    queue_limit: int = Field(
        default=100,
        ge=0,
        le=900,
        description="Requests that wait for a thread of a worker; more are answered"
        " 503.",
    )
    connection_limit: int = Field(
        default=1000,
        ge=16,
        le=60_000,
        description="Connections of a worker; for one more, the one goes that was"
        " silent for longest.",
    )
    address_connection_limit: int = Field(
        default=250,
        ge=1,
        description="The same of one address (IPv6: a /64); behind a listed proxy,"
        " requests under way for one.",
    )
    held_byte_limit: int = Field(
        default=64 * MIB,
        ge=MIB,
        description="Bytes of all requests of a worker that are not answered yet; the"
        " slowest is answered 503.",
    )
    arrival_deadline_ms: int = Field(
        default=20_000,
        ge=100,
        le=600_000,
        description="Milliseconds in which a request has to arrive, and its answer to"
        " be taken.",
    )
    answer_deadline_ms: int = Field(
        default=10_000,
        ge=100,
        le=60_000,
        description="Milliseconds that a call may take besides reading the chart; what"
        " comes later is a 503 and no card counts as shown.",
    )
    drain_ms: int = Field(
        default=0,
        ge=0,
        le=120_000,
        description="Milliseconds for which a server that was told to end goes on as"
        " ever, but for `/health/ready`, which is 503: so long a load balancer has to"
        " notice.",
    )
    keep_days: int | None = Field(
        default=None,
        ge=1,
        description="Days that calls, cards, feedback and ended alerts are kept;"
        " without it for ever.",
    )
    audit_keep_days: int | None = Field(
        default=None,
        ge=1,
        description="Days that rows of the audit trail are kept, not less than"
        " `CDS_KEEP_DAYS`; without it for ever.",
    )
    samples_kept_days: int = Field(
        default=400,
        ge=1,
        description="Days that readings of wearables are kept, from when they were"
        " measured.",
    )
    summaries_kept_days: int = Field(
        default=1100,
        ge=1,
        description="Days that summaries of days are kept, and what detectors made of"
        " each; they outlive the readings.",
    )
    quarantine_kept_days: int = Field(
        default=30,
        ge=1,
        description="Days that readings are held of a wearer whom nobody knows.",
    )
    answers_kept_days: int = Field(
        default=8,
        ge=7,
        description="Days that the answer to a delivery is remembered, which the same"
        " delivery gets again; senders may rely on seven.",
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="Addresses or networks of proxies whose `X-Forwarded-For` is"
        " believed, separated by commas.",
    )
    traces_url: TracesUrl = Field(
        default="",
        description="Where traces are sent, as OTLP over HTTP, such as"
        " `http://127.0.0.1:4318/v1/traces`; it takes `pip install cds-service[otel]`."
        " Nothing is traced without it.",
    )
    traces_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share of the requests that are traced, whatever an EHR says of"
        " its own.",
    )
    tls_cert: Path | None = Field(
        default=None,
        description="PEM file of the certificate and what leads from it to its"
        " authority; without it the server speaks plain HTTP.",
    )
    tls_key: Path | None = Field(
        default=None, description="PEM file of the certificate's key, not encrypted."
    )
    tls_client_ca: Path | None = Field(
        default=None,
        description="PEM file of authorities: only who has a certificate of theirs is"
        " answered (mutual TLS).",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,
        **named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is given: ``load_config`` gives it from the environment."""
        return (init_settings,)

    @model_validator(mode="before")
    @classmethod
    def _fill_development_defaults(cls, values: dict[str, Any]) -> dict[str, Any]:
        if values.get("profile") != Profile.DEVELOPMENT:
            return values
        scheme = "https" if values.get("tls_cert") else "http"
        host, port = values.get("host", "127.0.0.1"), values.get("port", _PORT)
        usual = {
            "public_url": f"{scheme}://{host}:{port}",
            "wearables_consent": ConsentMode.ASSUMED,
            "rate_limit": 0,
            "refusal_limit": 0,
        }
        return {**usual, **values}

    @model_validator(mode="after")
    def _refuse_half_of_tls(self) -> "Config":
        problems = []
        if (self.tls_cert is None) != (self.tls_key is None):
            missing = "CERT" if self.tls_cert is None else "KEY"
            problems.append(f"CDS_TLS_{missing}: must be set as well; it takes both")
        elif self.tls_client_ca is not None and self.tls_cert is None:
            problems.append("CDS_TLS_CLIENT_CA: needs CDS_TLS_CERT and CDS_TLS_KEY")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @model_validator(mode="after")
    def _keep_the_trail_as_long_as_what_it_tells_of(self) -> "Config":
        kept = self.audit_keep_days
        if kept is not None and (self.keep_days is None or kept < self.keep_days):
            raise ValueError(
                "CDS_AUDIT_KEEP_DAYS: must not be less than CDS_KEEP_DAYS, which it"
                " needs"
            )
        return self

    @model_validator(mode="after")
    def _give_a_transaction_the_time_of_a_statement(self) -> "Config":
        if self.database_transaction_timeout_ms < self.database_statement_timeout_ms:
            raise ValueError(
                "CDS_DATABASE_TRANSACTION_TIMEOUT_MS: must not be less than"
                " CDS_DATABASE_STATEMENT_TIMEOUT_MS"
            )
        return self

    @model_validator(mode="after")
    def _refuse_what_only_development_allows(self) -> "Config":
        if self.profile is Profile.DEVELOPMENT:
            return self
        problems = []
        if self.auth is Auth.OFF:
            problems.append("CDS_AUTH: off is only for CDS_PROFILE=development")
        if not self.public_url.startswith("https://"):
            problems.append(
                "CDS_PUBLIC_URL: must be set to an https:// URL in production"
            )
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @cached_property
    def clients(self) -> Clients:
        """Who may call, from the clients file.

        Raises:
            InvalidConfig: naming everything in the file that is wrong.
        """
        if self.auth is Auth.ON and self.clients_file is None:
            raise InvalidConfig(["CDS_CLIENTS_FILE: must be set while CDS_AUTH is on"])
        development = self.profile is Profile.DEVELOPMENT
        clients = Clients()
        if self.clients_file is not None:
            clients = load_clients(
                self.clients_file,
                development=development,
                lifetime=self.jwt_lifetime_limit,
            )
        if self.auth is Auth.OFF:
            clients = clients.without_trust(_anonymous(self.fhir_servers))
        return clients

    @property
    def database_limits(self) -> DatabaseLimits:
        """What a process may take of PostgreSQL."""
        return DatabaseLimits(
            connections=self.database_connections,
            statement_seconds=self.database_statement_timeout_ms / 1000,
            lock_seconds=self.database_lock_timeout_ms / 1000,
            transaction_seconds=self.database_transaction_timeout_ms / 1000,
        )

    @property
    def keep(self) -> Keep:
        """For how long what is stored."""
        return Keep(
            *(
                None if days is None else timedelta(days=days)
                for days in (
                    self.keep_days,
                    self.audit_keep_days,
                    self.samples_kept_days,
                    self.quarantine_kept_days,
                    self.summaries_kept_days,
                )
            )
        )

    def warnings(self) -> list[str]:
        """Return what must be said loudly at start, a sentence each."""
        return warnings(self, self.clients)


def warnings(config: Config, clients: Clients) -> list[str]:
    """Return what must be said loudly at start, a sentence each."""
    loud = []
    if config.profile is Profile.DEVELOPMENT:
        loud.append(
            "development profile: http and loopback FHIR servers are allowed, and a"
            " 401 says which check failed"
        )
    if config.auth is Auth.OFF:
        loud.append(
            "auth is off: anybody who reaches this server is answered, and pages on"
            " this machine and of the CDS Hooks sandbox may call it"
        )
    assumed = config.wearables_consent is ConsentMode.ASSUMED
    if assumed and config.profile is Profile.PRODUCTION:
        loud.append("consent to wearable data is assumed until a patient objects")
    for each in clients.clients:
        if each.client.profile.allow_replay:
            loud.append(f"client {each.client.id}: a token may be used again and again")
    return loud


def _anonymous(fhir_servers: tuple[str, ...]) -> TrustedClient:
    return TrustedClient(
        id="anonymous",
        tenant="default",
        issuer="",
        open_fhir_servers=tuple(
            ListedServer(each, Reach.LOCAL) for each in fhir_servers
        ),
        profile=ClientProfile(),
    )
