"""The ready-made checks: scripts that run on the *image's* Python; never imported here.

Each has a function ``check`` that returns a sentence with what was measured and raises
AssertionError with a sentence where a number is off.  They use what the image has installed.
"""
