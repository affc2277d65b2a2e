"""The outbox: what is to be told to whom, in the transaction in which it came about."""
