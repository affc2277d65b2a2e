"""Verbs that read the database."""
