"""A layer of compiled modules for images that want to start faster (``image.precompile``)."""
