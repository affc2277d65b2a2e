"""Sign-in where others know who a user is: a SMART app launch, or OpenID Connect.

Whoever signs users in *begins*, keeps what is pending, and *completes* with what the
browser brings back; *access* then gives a token that holds, and *revoke* gives it back.
"""

from .access import (
    TokenDesk,
    access,
    revoke,
    revoke_tokens,
    seal_tokens,
    with_access,
)
from .discovery import find_launching, provider_of
from .reading import is_same_person
from .records import (
    Arrival,
    LaunchContext,
    NoAccess,
    NotSignedIn,
    Pending,
    Provider,
    ProviderKind,
    SignedIn,
    SignInBegun,
    read_pending,
)
from .scopes import resources_of
from .signing_in import SignInDesk, begin, complete

__all__ = [
    "Arrival",
    "LaunchContext",
    "NoAccess",
    "NotSignedIn",
    "Pending",
    "Provider",
    "ProviderKind",
    "SignInBegun",
    "SignInDesk",
    "SignedIn",
    "TokenDesk",
    "access",
    "begin",
    "complete",
    "find_launching",
    "is_same_person",
    "provider_of",
    "read_pending",
    "resources_of",
    "revoke",
    "revoke_tokens",
    "seal_tokens",
    "with_access",
]
