"""Verbs about value sets."""
