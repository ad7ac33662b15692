"""Migrations: read from files, and applied once."""
