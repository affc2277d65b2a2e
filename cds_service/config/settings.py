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

from ..store.database import DatabaseLimits
from ..store.upkeep.pruning import Keep
from ..trust import DEFAULT_LIFETIME
from .clients import Clients, build_anonymous, load_clients
from .destinations import Hl7Destination
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
    Workbench,
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
        description="`off` reads the rules only at start and by `cds-service publish`.",
    )
    database_url: str = Field(
        default="sqlite:///var/cds-service.sqlite",
        description="Database: `sqlite:///` and a file, `sqlite:////` and a full path;"
        " `postgresql+psycopg://user@host/database` for several machines.",
    )
    database_url_file: Path | None = Field(
        default=None,
        description="File that holds `CDS_DATABASE_URL`, to keep a password out of the"
        " environment.",
    )
    database_connections: int = Field(
        default=16,
        ge=2,
        le=200,
        description="Connections to PostgreSQL that a process may have at a time; one"
        " is opened when a thread needs it.",
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
        description="Milliseconds that a request waits for a lock or a connection of"
        " PostgreSQL before it is answered 503.",
    )
    database_transaction_timeout_ms: int = Field(
        default=30_000,
        ge=100,
        le=3_600_000,
        description="Milliseconds that a transaction of PostgreSQL may last; before"
        " 17, idle.",
    )
    clients_file: Path | None = Field(
        default=None,
        description="YAML file of clients and webhook sources; needed with auth.",
    )
    token_key: str = Field(
        default="",
        repr=False,
        description="Key that encrypts tokens of wearers at vendors and of sessions at"
        " EHRs: 32 bytes in base64. The first of several, with commas between,"
        " encrypts.",
    )
    token_key_file: Path | None = Field(
        default=None, description="File that holds `CDS_TOKEN_KEY` instead."
    )
    auth: Auth = Field(
        default=Auth.ON, description="`off` answers anybody; development only."
    )
    discovery: Discovery = Field(
        default=Discovery.OPEN,
        description="`authenticated` requires a token for discovery as well.",
    )
    public_url: BaseUrl = Field(
        default="",
        description="Base URL that clients call, and the start of every token's `aud`;"
        " https in production, by default http://host:port in development.",
    )
    identifier_base: BaseUrl = Field(
        default="",
        description="Base URL of the ids and identifiers that are sent to others; by"
        " default `CDS_PUBLIC_URL` as it was when something was first sent.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=_PORT, ge=0, le=65535, description="Port to listen on.")
    health_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port for `/health/live` and `/health/ready` only, in plain HTTP,"
        " however busy the main port is.",
    )
    workers: int = Field(default=1, ge=1, le=256, description="Worker processes.")
    threads: int = Field(
        default=64,
        ge=1,
        le=256,
        description="Threads of a worker; a call holds one while it waits for FHIR.",
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
        default=2_000_000,
        ge=1000,
        description="Members and items in a delivery of readings.",
    )
    quarantine_wearer_limit: int = Field(
        default=10_000,
        ge=0,
        description="Readings held in quarantine for one unknown wearer.",
    )
    quarantine_limit: int = Field(
        default=200_000,
        ge=0,
        description="Readings held in quarantine for all unknown wearers together.",
    )
    detection_days: int = Field(
        default=7,
        ge=1,
        description="Days of readings that are judged in one transaction; longer"
        " deliveries are judged after their answer.",
    )
    source_silent_hours: int = Field(
        default=24,
        ge=0,
        description="Hours without readings after which a source that delivered before"
        " is silent in `/health` and `/metrics`; 0 never.",
    )
    gather_deadline_ms: int = Field(
        default=400,
        ge=1,
        le=60_000,
        description="Milliseconds, from a call's arrival, for reading from FHIR.",
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
        description="`required` stores and shows wearable data only under a FHIR"
        " Consent; `assumed`, the default in development, until a patient objects.",
    )
    jwt_lifetime_limit: int = Field(
        default=DEFAULT_LIFETIME,
        ge=60,
        le=86_400,
        description="Seconds that a token may live, unless the client's profile says.",
    )
    value_limit: int = Field(
        default=100_000, ge=1000, description="Members and items in one JSON body."
    )
    rate_limit: int = Field(
        default=6000,
        ge=0,
        description="Calls a minute of one client, deliveries of one source, for each"
        " worker; more are answered 429. 0, the default in development, is no limit.",
    )
    refusal_limit: int = Field(
        default=1200,
        ge=0,
        description="Messages a minute from one address by unknown senders, for each"
        " worker, before everything from there is answered 429; 0 as above.",
    )
    queue_limit: int = Field(
        default=100,
        ge=0,
        le=900,
        description="Requests that may wait for a thread of a worker; more are"
        " answered 503.",
    )
    connection_limit: int = Field(
        default=1000,
        ge=16,
        le=60_000,
        description="Connections of a worker; beyond, the longest silent is closed.",
    )
    address_connection_limit: int = Field(
        default=250,
        ge=1,
        description="Connections of a worker from one address (IPv6: a /64); behind a"
        " listed proxy, requests under way for one address.",
    )
    held_byte_limit: int = Field(
        default=64 * MIB,
        ge=MIB,
        description="Bytes of a worker's unanswered requests; beyond, the slowest is"
        " answered 503.",
    )
    arrival_deadline_ms: int = Field(
        default=20_000,
        ge=100,
        le=600_000,
        description="Milliseconds for a request to arrive, and for its answer to be"
        " read.",
    )
    answer_deadline_ms: int = Field(
        default=10_000,
        ge=100,
        le=60_000,
        description="Milliseconds that a call may take besides reading the chart; a"
        " later answer is a 503, and no card counts as shown.",
    )
    drain_ms: int = Field(
        default=0,
        ge=0,
        le=120_000,
        description="Milliseconds that a server goes on after SIGTERM with only"
        " `/health/ready` at 503, so that a load balancer notices.",
    )
    keep_days: int | None = Field(
        default=None,
        ge=1,
        description="Days that calls, cards, feedback and ended alerts are kept; for"
        " ever if not set.",
    )
    audit_keep_days: int | None = Field(
        default=None,
        ge=1,
        description="Days that rows of the audit trail are kept, not less than"
        " `CDS_KEEP_DAYS`; for ever if not set.",
    )
    samples_kept_days: int = Field(
        default=400,
        ge=1,
        description="Days after their measurement that readings are kept.",
    )
    summaries_kept_days: int = Field(
        default=1100,
        ge=1,
        description="Days that summaries and judgements of days are kept.",
    )
    quarantine_kept_days: int = Field(
        default=30,
        ge=1,
        description="Days that readings of unknown wearers are held.",
    )
    answers_kept_days: int = Field(
        default=8,
        ge=7,
        description="Days that the answer to a delivery is remembered, for the same"
        " delivery sent again; senders may rely on seven.",
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="Addresses or networks of proxies whose `X-Forwarded-For` is"
        " believed, separated by commas.",
    )
    traces_url: TracesUrl = Field(
        default="",
        description="Where traces are sent, as OTLP over HTTP, such as"
        " `http://127.0.0.1:4318/v1/traces`; needs `pip install cds-service[otel]`."
        " Without it nothing is traced.",
    )
    traces_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share of requests that are traced, whatever an EHR decides for"
        " its own traces.",
    )
    workbench: Workbench = Field(
        default=Workbench.OFF,
        description="`on`, the default in development, serves `/workbench`.",
    )
    workbench_charts: Path | None = Field(
        default=None,
        description="Folder of FHIR Bundles on which rules may be tried there.",
    )
    tls_cert: Path | None = Field(
        default=None,
        description="PEM file of the certificate and its chain; without it the server"
        " speaks plain HTTP.",
    )
    tls_key: Path | None = Field(
        default=None, description="PEM file of the certificate's key, not encrypted."
    )
    tls_client_ca: Path | None = Field(
        default=None,
        description="PEM file of authorities: only clients with a certificate from one"
        " of them are answered (mutual TLS).",
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
            "workbench": Workbench.ON,
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
            clients = clients.without_trust(build_anonymous(self.fhir_servers))
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
        days = (
            *(self.keep_days, self.audit_keep_days, self.samples_kept_days),
            *(self.quarantine_kept_days, self.summaries_kept_days),
        )
        return Keep(*(None if each is None else timedelta(days=each) for each in days))

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
    secure = config.profile is Profile.PRODUCTION
    if config.wearables_consent is ConsentMode.ASSUMED and secure:
        loud.append("consent to wearable data is assumed until a patient objects")
    for told in clients.destinations:
        if isinstance(told, Hl7Destination) and told.tls is None and secure:
            loud.append(f"destination {told.id}: messages are sent unencrypted")
    for each in clients.clients:
        if each.client.profile.allow_replay:
            loud.append(f"client {each.client.id}: a token may be used again and again")
    return loud
