"""One store for each capability, on PostgreSQL; its statements are in `sql`."""
