"""Samples in the database, whose they are, and those of whom nobody knows yet."""
