"""The resources of one chart as rows, under what rules ask for."""
