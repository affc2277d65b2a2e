"""Verbs that look at wearable data."""
