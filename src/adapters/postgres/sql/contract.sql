-- server() -> (is_replica, is_read_only, fsync, synchronous_commit, full_page_writes, version)
SELECT
    pg_is_in_recovery() AS is_replica,
    current_setting('transaction_read_only') = 'on' AS is_read_only,
    current_setting('fsync') = 'on' AS fsync,
    current_setting('synchronous_commit') <> 'off' AS synchronous_commit,
    current_setting('full_page_writes') = 'on' AS full_page_writes,
    current_setting('server_version_num')::integer AS version;

-- clock() -> datetime
SELECT clock_timestamp() AS now;

-- session_settings(names) -> (name, setting)
SELECT name, setting
FROM pg_settings
WHERE name = ANY($1::text[]);
