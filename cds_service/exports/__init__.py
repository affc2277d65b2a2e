"""What others wrote out: whole FHIR servers page by page, the exports of phones."""
