-- add(player_ids, types, keys, points, reasons, staff_ids, correlation_ids, causes, created_ats, tries, last_tried_ats) -> nothing
INSERT INTO tallystick.pending_accruals (
    player_id, event_type, event_key, points, reason, staff_id, correlation_id, cause, created_at, tries, last_tried_at
)
SELECT
    new.player_id, new.event_type, new.event_key, new.points, new.reason, new.staff_id, new.correlation_id, new.cause,
    new.created_at, new.tries, new.last_tried_at
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::timestamptz[], $10::bigint[], $11::timestamptz[]
) AS new (
    player_id, event_type, event_key, points, reason, staff_id, correlation_id, cause, created_at, tries, last_tried_at
)
ORDER BY new.player_id, new.event_type, new.event_key;

-- lock(player_ids, types, keys) -> PendingAccrual
-- In key order, after the accounts and the slips: two batches queue instead of deadlocking.
SELECT
    held.player_id, held.event_type, held.event_key, held.points, held.reason, held.staff_id, held.correlation_id,
    held.cause, held.created_at, held.tries, held.last_tried_at
FROM tallystick.pending_accruals AS held
INNER JOIN unnest($1::text[], $2::text[], $3::text[]) AS requested (player_id, event_type, event_key)
ON
    held.player_id = requested.player_id AND held.event_type = requested.event_type
    AND held.event_key = requested.event_key
ORDER BY held.player_id, held.event_type, held.event_key
FOR UPDATE OF held;

-- store(player_ids, types, keys, causes, tries, last_tried_ats) -> nothing
UPDATE tallystick.pending_accruals AS held
SET cause = new.cause, tries = new.tries, last_tried_at = new.last_tried_at
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[])
AS new (player_id, event_type, event_key, cause, tries, last_tried_at)
WHERE held.player_id = new.player_id AND held.event_type = new.event_type AND held.event_key = new.event_key;

-- remove(player_ids, types, keys) -> nothing
DELETE FROM tallystick.pending_accruals AS held
USING unnest($1::text[], $2::text[], $3::text[]) AS done (player_id, event_type, event_key)
WHERE held.player_id = done.player_id AND held.event_type = done.event_type AND held.event_key = done.event_key;

-- take_due(before, now, limit, today, needs_phone) -> PendingAccrual
-- SKIP LOCKED leaves out rows that another transaction takes or credits, because this statement locks in no fixed
-- order. The rows of an UPDATE have no order either, and are sorted at the end. Points of deleted players are never
-- due. Points that wait for a verified phone are due once it is verified, and points above the daily cap on the next
-- day.
WITH taken AS (
    UPDATE tallystick.pending_accruals AS held
    SET last_tried_at = $2::timestamptz
    FROM (
        SELECT p.player_id, p.event_type, p.event_key, p.last_tried_at
        FROM tallystick.pending_accruals AS p
        WHERE
            p.last_tried_at <= $1::timestamptz AND CASE p.cause
                WHEN 'USER_DELETED' THEN false
                WHEN 'REFERRAL_CAP_REACHED' THEN p.last_tried_at < $4::timestamptz
                WHEN 'PHONE_NOT_VERIFIED' THEN NOT $5::boolean OR EXISTS (
                    SELECT FROM tallystick.phone_verifications AS v WHERE v.user_id = p.event_key
                )
                ELSE true
            END
        ORDER BY p.last_tried_at, p.player_id, p.event_type, p.event_key
        LIMIT $3::bigint
        FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE held.player_id = due.player_id AND held.event_type = due.event_type AND held.event_key = due.event_key
    RETURNING
        held.player_id, held.event_type, held.event_key, held.points, held.reason, held.staff_id, held.correlation_id,
        held.cause, held.created_at, held.tries, held.last_tried_at, due.last_tried_at AS tried_before
)

SELECT
    player_id, event_type, event_key, points, reason, staff_id, correlation_id, cause, created_at, tries, last_tried_at
FROM taken
ORDER BY tried_before, player_id, event_type, event_key;

-- page(limit) -> PendingAccrual
SELECT
    player_id, event_type, event_key, points, reason, staff_id, correlation_id, cause, created_at, tries, last_tried_at
FROM tallystick.pending_accruals
ORDER BY created_at, player_id, event_type, event_key
LIMIT $1::bigint;

-- page_after(created_at, player_id, type, key, limit) -> PendingAccrual
SELECT
    player_id, event_type, event_key, points, reason, staff_id, correlation_id, cause, created_at, tries, last_tried_at
FROM tallystick.pending_accruals
WHERE (created_at, player_id, event_type, event_key) > ($1::timestamptz, $2::text, $3::text, $4::text)
ORDER BY created_at, player_id, event_type, event_key
LIMIT $5::bigint;

-- backlog() -> Backlog
SELECT count(*) AS waiting, min(created_at) AS oldest_at
FROM tallystick.pending_accruals
WHERE cause NOT IN ('USER_DELETED', 'PHONE_NOT_VERIFIED', 'REFERRAL_CAP_REACHED');
