"""One store for each capability, on PostgreSQL; its statements stand in `sql`."""
