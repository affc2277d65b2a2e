"""The FHIR server of the command line's tests, for who reads its pages here."""

from ..cli.conftest import serve

__all__ = ["serve"]
