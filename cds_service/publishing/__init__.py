"""From a rules folder to what every process serves."""
