"""The stores on PostgreSQL."""
