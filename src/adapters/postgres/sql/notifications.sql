-- notify(channel, payload) -> nothing
SELECT pg_notify($1::text, $2::text);
