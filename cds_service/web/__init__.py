"""Every URL the server answers, and errors as OperationOutcome."""
