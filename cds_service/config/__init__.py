"""Settings: the environment and the clients file, read once, refused loudly."""

from .clients import Clients, WebhookSource, load_clients
from .problems import InvalidConfig
from .settings import (
    Auth,
    Config,
    Consent,
    Discovery,
    LogLevel,
    Profile,
    load_config,
    settings_table,
    warnings,
)

__all__ = [
    "Auth",
    "Clients",
    "Config",
    "Consent",
    "Discovery",
    "InvalidConfig",
    "LogLevel",
    "Profile",
    "WebhookSource",
    "load_clients",
    "load_config",
    "settings_table",
    "warnings",
]
