-- migrations() -> (version, checksum)
SELECT version, checksum
FROM tallystick.schema_migrations
ORDER BY version;
