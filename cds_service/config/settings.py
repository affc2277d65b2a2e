"""Config: every setting is a field, ``CDS_<NAME>`` in the environment.

A value that cannot be used keeps the server from starting, and so does a name that is
a slip of the pen. Other variables that begin with ``CDS_`` are left alone: Kubernetes
sets some for a service of that name.
"""

import difflib
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ..fhir.networks import ListedServer, Reach
from ..trust import DEFAULT_LIFETIME, ClientProfile, TrustedClient
from .choices import Auth, Consent, Discovery, LogLevel, Profile, Reload
from .clients import Clients, load_clients
from .entries import FhirUrl
from .problems import InvalidConfig

PREFIX = "CDS_"


def _split(value: Any) -> Any:
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _base_url(value: str) -> str:
    if not value:
        return value
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("must be a URL that begins with http:// or https://")
    if url.query or url.fragment or url.username is not None:
        raise ValueError("must be a URL without user, query or fragment")
    return value.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(_base_url)]
FhirUrls = Annotated[tuple[FhirUrl, ...], NoDecode, BeforeValidator(_split)]
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
        description="Database, as an SQLAlchemy URL; `sqlite:////` for a full path.",
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
    workers: int = Field(default=1, ge=1, le=256, description="Worker processes.")
    threads: int = Field(default=8, ge=1, le=256, description="Threads in a worker.")
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
        description="Bytes of a wearable delivery.",
    )
    gather_deadline_ms: int = Field(
        default=400,
        ge=1,
        le=60_000,
        description="Milliseconds for reading the chart from a FHIR server.",
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
    wearables_consent: Consent = Field(
        default=Consent.NONE,
        description="`assumed` accepts wearable data of every patient; the default in"
        " development.",
    )
    jwt_lifetime_limit: int = Field(
        default=DEFAULT_LIFETIME,
        ge=60,
        le=86_400,
        description="Seconds that a token may live where a client's profile is silent.",
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
        here = f"http://{values.get('host', '127.0.0.1')}:{values.get('port', _PORT)}"
        return {"public_url": here, "wearables_consent": Consent.ASSUMED, **values}

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

    def warnings(self) -> list[str]:
        """What must be said loudly at start, a sentence each."""
        return warnings(self, self.clients)


def load_config(environ: Mapping[str, str] | None = None) -> Config:
    """The settings that the environment makes; an empty variable counts as unset.

    Raises:
        InvalidConfig: naming everything that is wrong, in the clients file as well.
    """
    given = os.environ if environ is None else environ
    source = EnvSettingsSource(Config)
    source.env_vars = {name.lower(): value for name, value in given.items() if value}
    problems = _misspelt(given)
    try:
        config = Config(**source())
    except ValidationError as error:
        for each in error.errors():
            problems += _sentence(dict(each)).split("\n")
        raise InvalidConfig(problems) from error
    if problems:
        raise InvalidConfig(problems)
    config.clients  # noqa: B018  reads the file, so that a fault shows at start
    return config


def warnings(config: Config, clients: Clients) -> list[str]:
    """What must be said loudly at start, a sentence each; empty where all is safe."""
    loud = []
    if config.profile is Profile.DEVELOPMENT:
        loud.append("development profile: http and loopback FHIR servers are allowed")
    if config.auth is Auth.OFF:
        loud.append("auth is off: anybody who reaches this server is answered")
    for each in clients.clients:
        if each.client.profile.allow_replay:
            loud.append(f"client {each.client.id}: a token may be used again and again")
    return loud


def settings_table() -> list[tuple[str, str, str]]:
    """Name, default and description of every setting, for the README."""
    return [
        (PREFIX + name.upper(), _shown(field.default), field.description or "")
        for name, field in Config.model_fields.items()
    ]


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


def _misspelt(environ: Mapping[str, str]) -> list[str]:
    known = [PREFIX + name.upper() for name in Config.model_fields]
    problems = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
            problems += [f"{name}: unknown; did you mean {each}?" for each in near]
    return problems


def _sentence(error: dict[str, Any]) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return message
    return f"{PREFIX}{str(error['loc'][0]).upper()}: {message[0].lower()}{message[1:]}"


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return ", ".join(default)
    return "" if default is None else str(default)
