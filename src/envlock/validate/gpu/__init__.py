"""GPU checks: find the driver, show it to the sandbox, run what the spec asks for.

Standard library only, so that the folder ``src`` and a Python are enough on a GPU machine.
"""
