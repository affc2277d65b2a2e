"""The EHR's FHIR server: the chart, how it is gathered, what we write."""
