"""What advice promised, and what came of it."""
