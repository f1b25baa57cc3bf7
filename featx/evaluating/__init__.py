"""A finished model on labelled images that came after it."""
