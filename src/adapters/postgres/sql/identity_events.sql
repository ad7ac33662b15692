-- claim(delivery_ids, kinds, received_ats) -> str
-- The statement waits for a transaction that inserts one of these ids: if it commits, the delivery is a duplicate.
INSERT INTO tallystick.webhook_deliveries (delivery_id, kind, received_at)
SELECT new.delivery_id, new.kind, new.received_at
FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS new (delivery_id, kind, received_at)
ORDER BY new.delivery_id
ON CONFLICT (delivery_id) DO NOTHING
RETURNING delivery_id;

-- forget(before, limit) -> nothing
DELETE FROM tallystick.webhook_deliveries
WHERE delivery_id IN (
    SELECT delivery_id
    FROM tallystick.webhook_deliveries
    WHERE received_at < $1::timestamptz
    ORDER BY received_at
    LIMIT $2::bigint
);
