"""From believed readings to people warned."""
