"""Verbs that ask rules of patients."""
