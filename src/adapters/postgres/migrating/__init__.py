"""Migrations: their files, and the migrator that applies them."""
