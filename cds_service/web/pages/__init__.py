"""Pages for people: one look, one policy, nothing that is loaded from elsewhere."""
