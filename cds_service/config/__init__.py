"""Settings: the environment and the clients file, read once, refused loudly."""

from .clients import Clients, WebhookSource, load_clients
from .environment import find_database_url, load_config
from .problems import InvalidConfig
from .settings import (
    Auth,
    Config,
    ConsentMode,
    Discovery,
    LogLevel,
    Profile,
    Reload,
    warnings,
)

__all__ = [
    "Auth",
    "Clients",
    "Config",
    "ConsentMode",
    "Discovery",
    "InvalidConfig",
    "LogLevel",
    "Profile",
    "Reload",
    "WebhookSource",
    "find_database_url",
    "load_clients",
    "load_config",
    "warnings",
]
