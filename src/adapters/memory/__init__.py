"""The stores in memory: for tests, for clients' test suites, and for `--store memory`. Stricter than PostgreSQL."""
