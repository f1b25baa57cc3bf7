"""A model and a folder of images: one row a file."""
