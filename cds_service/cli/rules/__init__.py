"""Verbs about rule files."""
