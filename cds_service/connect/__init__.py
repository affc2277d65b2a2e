"""Vendors' clouds: a wearer's permission by OAuth, and what is fetched by it."""
