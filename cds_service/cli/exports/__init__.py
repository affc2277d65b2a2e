"""Verbs that read whole FHIR servers."""
