"""What is measured, and how far it can be believed."""
