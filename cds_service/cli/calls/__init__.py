"""Verbs that speak with a server as an EHR or a wearable vendor does."""
