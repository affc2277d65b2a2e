"""Benchmarks: measured on request, never part of the tests."""
