"""``python -m envlock.validate.gpu``: GPU checks where nothing but a Python is at hand."""

from __future__ import annotations

import sys

from envlock.validate.gpu.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
