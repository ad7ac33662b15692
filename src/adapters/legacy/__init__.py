"""Sources of legacy users: files, and databases of other systems."""
