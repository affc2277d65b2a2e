"""The resources of one chart as rows, filed under what rules ask for."""
