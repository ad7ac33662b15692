"""An embedded PostgreSQL: real, durable, private to one data directory."""
