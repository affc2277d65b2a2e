"""Settings: the environment and the clients file, read once, refused loudly."""

from .choices import Auth, ConsentMode, Discovery, LogLevel, Profile, Reload
from .clients import Clients, WebhookSource, load_clients
from .environment import load_config
from .problems import InvalidConfig
from .settings import Config, warnings

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
    "load_clients",
    "load_config",
    "warnings",
]
