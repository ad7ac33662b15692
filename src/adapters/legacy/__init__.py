"""Where users come from when a team moves in: files, and databases of others."""
