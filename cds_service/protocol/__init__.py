"""CDS Hooks as data: hooks, requests, services, cards, feedback, errors. Pure."""
