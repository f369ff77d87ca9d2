"""A lock as an environment in a folder of this machine, for people who work without containers."""
