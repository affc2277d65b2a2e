"""Wearable data as records. Pure."""
