"""What the cache folder holds, and what of it can go."""
