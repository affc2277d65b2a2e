"""Whether this process can record: what failed, and whether its files are still its."""
