"""Backups of the schema and their restores, by PostgreSQL's own pg_dump and pg_restore."""
