"""Runs beside each other: paired on the same images, with intervals, prices and a verdict."""
