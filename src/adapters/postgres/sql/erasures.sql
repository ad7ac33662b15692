-- begin(user_ids, at) -> nothing
UPDATE tallystick.users
SET erasing_since = $2::timestamptz
WHERE user_id = ANY($1::text[]) AND deleted_at IS NOT NULL AND erasing_since IS NULL;

-- lock(user_id) -> UserId
SELECT user_id
FROM tallystick.users
WHERE user_id = $1::text AND erasing_since IS NOT NULL
FOR NO KEY UPDATE;

-- finish(user_id) -> nothing
UPDATE tallystick.users
SET erasing_since = NULL
WHERE user_id = $1::text;

-- waiting(after, limit) -> UserId
SELECT user_id
FROM tallystick.users
WHERE erasing_since IS NOT NULL AND user_id > $1::text
ORDER BY user_id
LIMIT $2::bigint;

-- left_behind(user_ids, reward_id) -> UserId
-- Five index ranges for each user, all empty for nearly all users. Rewards up to this id were withdrawn already.
SELECT requested.user_id
FROM unnest($1::text[]) AS requested (user_id)
WHERE
    EXISTS (SELECT FROM tallystick.idempotency_keys AS k WHERE k.caller = requested.user_id OFFSET 0)
    OR EXISTS (
        SELECT FROM tallystick.rewards AS r
        WHERE r.owner_id = requested.user_id AND r.reward_id > $2::text AND r.active
        OFFSET 0
    )
    OR EXISTS (
        SELECT FROM tallystick.channel_members AS m
        WHERE m.user_id = requested.user_id AND m.left_seq IS NULL
        OFFSET 0
    )
    OR EXISTS (SELECT FROM tallystick.roster_slots AS s WHERE s.player_id = requested.user_id OFFSET 0)
    OR EXISTS (SELECT FROM tallystick.session_overlays AS o WHERE o.owner_id = requested.user_id OFFSET 0);

-- backlog() -> ErasureBacklog
SELECT count(*) AS waiting, min(erasing_since) AS oldest_since
FROM tallystick.users
WHERE erasing_since IS NOT NULL;
