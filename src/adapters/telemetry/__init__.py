"""What operators see: logs and metrics, without anything that names a person or opens a door."""
