"""One module a change; its number says its place."""
