"""From socket to store."""
