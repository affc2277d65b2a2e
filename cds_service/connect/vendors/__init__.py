"""What is known of each vendor's cloud, as data; what it answers is read elsewhere."""
