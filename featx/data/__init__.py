"""Data sets: folders and manifests, and images decoded from their bytes."""
