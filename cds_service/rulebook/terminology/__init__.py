"""Value sets, and the terminologies of others that they are made from."""
