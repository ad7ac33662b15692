"""The stores in memory: for tests, for clients' test suites, and for `--store memory`.

They check more than PostgreSQL, so that a test fails where a bug is.
"""
