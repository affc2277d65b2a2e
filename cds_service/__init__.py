"""A CDS Hooks decision-support server: rules in YAML over chart and wearables."""

__version__ = "0.1.0"
