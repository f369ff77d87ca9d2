"""Base images: what a registry has under a name, what its files are, and whether they do."""
