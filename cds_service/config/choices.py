"""The settings that are one of a few words."""

from enum import StrEnum


class Profile(StrEnum):
    """How careful the server is."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"


class Auth(StrEnum):
    """Whether callers prove who they are."""

    ON = "on"
    OFF = "off"


class Discovery(StrEnum):
    """Who may list the services."""

    OPEN = "open"
    AUTHENTICATED = "authenticated"


class ConsentMode(StrEnum):
    """Whether patients have to agree to wearable data first."""

    REQUIRED = "required"
    """What no Consent permits is neither stored nor shown."""
    ASSUMED = "assumed"
    """Patients agree until they say anything about wearable data."""


class Reload(StrEnum):
    """Whether rules that change on disk are tested and served by themselves."""

    ON = "on"
    OFF = "off"


class LogLevel(StrEnum):
    """The least that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
