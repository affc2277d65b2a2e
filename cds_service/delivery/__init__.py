"""Delivery: episodes and days to the hospital, as often as needed and never twice."""
