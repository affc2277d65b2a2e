"""Who has signed in from an EHR: what is pending, and the sessions that came of it."""
