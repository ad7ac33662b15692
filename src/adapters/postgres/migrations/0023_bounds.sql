-- Bounds: what one user holds is counted before more is stored, by a range of an index or by a counter.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction, constraint-missing-not-valid

-- kind: before
-- locks: idempotency_keys ACCESS EXCLUSIVE, invites SHARE UPDATE EXCLUSIVE, rating_slips SHARE UPDATE EXCLUSIVE
-- migrate:up transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

CREATE INDEX CONCURRENTLY IF NOT EXISTS invites_of_owner ON tallystick.invites (owner_id);
-- Closed slips are not in it: a slip leaves it when its points are credited.
CREATE INDEX CONCURRENTLY IF NOT EXISTS rating_slips_unfinished ON tallystick.rating_slips
(player_id) WHERE state <> 'closed';

-- Stored replies are too many to be counted for each request, and so have a counter for each caller.
CREATE TABLE IF NOT EXISTS tallystick.reply_totals (
    caller text COLLATE "C" NOT NULL,
    replies bigint NOT NULL,
    bytes bigint NOT NULL,
    CONSTRAINT reply_totals_pkey PRIMARY KEY (caller),
    CONSTRAINT reply_totals_not_negative CHECK (replies >= 0 AND bytes >= 0)
) WITH (fillfactor = 80);
ALTER TABLE tallystick.reply_totals ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.reply_totals FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS reply_totals_service ON tallystick.reply_totals;
CREATE POLICY reply_totals_service ON tallystick.reply_totals
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.reply_totals FROM public, anon, authenticated;
GRANT SELECT, INSERT, DELETE, UPDATE (replies, bytes) ON tallystick.reply_totals TO tallystick_app;

-- Replies that were stored before, or by an older version, are in no counter: they are gone after eight days.
ALTER TABLE tallystick.idempotency_keys ADD COLUMN IF NOT EXISTS is_counted boolean NOT NULL DEFAULT false;
ALTER TABLE tallystick.idempotency_keys DROP CONSTRAINT IF EXISTS idempotency_keys_body_bounded;
ALTER TABLE tallystick.idempotency_keys ADD CONSTRAINT idempotency_keys_body_bounded CHECK (
    octet_length(body) <= 1048576
) NOT VALID;
-- A statement of its own, outside a transaction: nobody waits while it reads the table.
ALTER TABLE tallystick.idempotency_keys VALIDATE CONSTRAINT idempotency_keys_body_bounded;

-- migrate:down transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

ALTER TABLE tallystick.idempotency_keys DROP CONSTRAINT IF EXISTS idempotency_keys_body_bounded;
ALTER TABLE tallystick.idempotency_keys DROP COLUMN IF EXISTS is_counted;
DROP TABLE IF EXISTS tallystick.reply_totals;
DROP INDEX CONCURRENTLY IF EXISTS tallystick.rating_slips_unfinished;
DROP INDEX CONCURRENTLY IF EXISTS tallystick.invites_of_owner;
