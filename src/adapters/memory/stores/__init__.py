"""One store for each capability, in memory."""
