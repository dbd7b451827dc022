"""What dust and gases mean: means over clock hours, the Thai and the American index, corrections of instruments."""
