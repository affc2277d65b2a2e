"""Answers of vendors' clouds, one vendor a module. Pure."""
