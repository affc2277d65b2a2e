"""The audit trail: how rows are chained, and what is known of whom they are about."""
