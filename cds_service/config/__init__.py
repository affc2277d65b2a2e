"""Settings: the environment and the clients file, read once, refused loudly."""

from .clients import Clients, WebhookSource, load_clients
from .clouds import Cloud
from .environment import find_database_url, load_config, load_vault
from .problems import InvalidConfig
from .proofs import Proof, ProofKind
from .settings import Config, warnings
from .values import Auth, ConsentMode, Discovery, LogLevel, Profile, Reload, Workbench

__all__ = [
    "Auth",
    "Clients",
    "Cloud",
    "Config",
    "ConsentMode",
    "Discovery",
    "InvalidConfig",
    "LogLevel",
    "Profile",
    "Proof",
    "ProofKind",
    "Reload",
    "WebhookSource",
    "Workbench",
    "find_database_url",
    "load_clients",
    "load_config",
    "load_vault",
    "warnings",
]
