"""What a learned forecaster hears, says and is worth. Pure; it is trained elsewhere, and no rule listens to it."""
