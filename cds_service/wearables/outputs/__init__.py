"""What leaves for others of what wearables told: built here, sent elsewhere. Pure."""
