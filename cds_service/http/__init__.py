"""The way out: every request to another server, bounded, to an address looked at."""
