"""A folder of new images, as a model sees it, as one page."""
