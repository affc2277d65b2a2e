"""Wearable formats: one payload format a file, each turned into records. Pure."""
