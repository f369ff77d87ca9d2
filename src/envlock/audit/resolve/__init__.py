"""A symbolic run of the imports of a locked set; nothing of it is executed."""
