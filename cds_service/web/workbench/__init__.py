"""Pages for those who write rules and run the server, behind a sign-in of their own."""
