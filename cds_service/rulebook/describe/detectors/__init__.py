"""Detectors in sentences, and what changed in them."""
