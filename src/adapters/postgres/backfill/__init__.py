"""Backfills on PostgreSQL: planned, applied, verified and rolled back in SQL."""
