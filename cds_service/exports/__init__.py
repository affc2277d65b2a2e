"""Whole FHIR servers, read page by page to the end, or to where it stopped."""
