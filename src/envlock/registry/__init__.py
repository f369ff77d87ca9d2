"""Images in registries: a small client of the OCI distribution specification 1.1."""
