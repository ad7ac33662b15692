"""Backfills on PostgreSQL: planned, applied, verified and taken back in SQL."""
