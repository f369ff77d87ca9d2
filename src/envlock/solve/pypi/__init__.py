"""The PyPI packages of an environment, resolved by uv."""
