"""The timeline: what wearables told of one patient, as a clinician looks at it."""
