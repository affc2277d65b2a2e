"""Where an EHR opens this server as a SMART app: sign-in, sessions, the way out."""
