"""HL7 v2: messages as they come over MLLP or in files, and the readings in them."""
