"""Verbs about what patients permit."""
