"""Specs begun from other tools' files: each reader gives a draft, the draft becomes YAML."""
