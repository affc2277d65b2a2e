"""Wearers' grants at vendors' clouds, and how far what they permit was pulled."""
