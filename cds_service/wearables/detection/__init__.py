"""From readings to episodes: detectors, and what they make of what is kept. Pure."""
