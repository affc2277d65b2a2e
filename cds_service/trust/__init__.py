"""Trust: who may call, and what may leave.

``authenticate`` is the way in; ``Keyring`` holds the keys that clients publish.
"""

from .authentication import (
    LEEWAY,
    USED_BEFORE,
    Check,
    IsNew,
    Token,
    Trust,
    authenticate,
    examine,
    find_client,
    read_token,
)
from .clients import (
    DEFAULT_LIFETIME,
    REFRESH,
    ClientProfile,
    KeyFormat,
    KeyServer,
    RegisteredClient,
    Registry,
    SmartApp,
    TrustedClient,
)
from .keyring import Keyring
from .keys import (
    ALGORITHMS,
    DEFAULT_ALGORITHMS,
    InvalidKey,
    InvalidKeySet,
    KeySet,
    VerificationKey,
    public_jwk,
    read_key,
    read_key_set,
    thumbprint,
)

__all__ = [
    "ALGORITHMS",
    "DEFAULT_ALGORITHMS",
    "DEFAULT_LIFETIME",
    "LEEWAY",
    "REFRESH",
    "USED_BEFORE",
    "Check",
    "ClientProfile",
    "InvalidKey",
    "InvalidKeySet",
    "IsNew",
    "KeyFormat",
    "KeyServer",
    "KeySet",
    "Keyring",
    "RegisteredClient",
    "Registry",
    "SmartApp",
    "Token",
    "Trust",
    "TrustedClient",
    "VerificationKey",
    "authenticate",
    "examine",
    "find_client",
    "public_jwk",
    "read_key",
    "read_key_set",
    "read_token",
    "thumbprint",
]
