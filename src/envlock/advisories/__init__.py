"""Known vulnerabilities of locked packages, told from advisories that the user has.

Nothing is asked of the network: the advisories are files in the OSV format.
"""
