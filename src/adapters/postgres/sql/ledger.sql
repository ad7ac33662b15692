-- open(user_ids, units) -> nothing
-- Accounts are created with a balance of zero, so that the rows can be locked.
INSERT INTO tallystick.ledger_accounts (user_id, unit)
SELECT new.user_id, new.unit
FROM unnest($1::text[], $2::text[]) AS new (user_id, unit)
ORDER BY new.user_id, new.unit
ON CONFLICT (user_id, unit) DO NOTHING;

-- lock(user_ids, units) -> Account
-- In key order: two batches queue instead of deadlocking. NO KEY: inserted entries that reference these rows need not
-- wait. LATERAL makes it one look-up by key for each: a plan made while the table was small would scan all of it later.
SELECT held.user_id, held.unit, held.balance, held.version, held.lifetime, held.updated_at, held.frozen_at
FROM (
    SELECT DISTINCT user_id COLLATE "C" AS user_id, unit COLLATE "C" AS unit
    FROM unnest($1::text[], $2::text[]) AS given (user_id, unit)
    ORDER BY user_id, unit
) AS requested
CROSS JOIN LATERAL (
    SELECT *
    FROM tallystick.ledger_accounts AS account
    WHERE account.user_id = requested.user_id AND account.unit = requested.unit
    FOR NO KEY UPDATE
) AS held;

-- balances(user_ids, units) -> Account
SELECT held.user_id, held.unit, held.balance, held.version, held.lifetime, held.updated_at, held.frozen_at
FROM tallystick.ledger_accounts AS held
INNER JOIN unnest($1::text[], $2::text[]) AS requested (user_id, unit)
ON held.user_id = requested.user_id AND held.unit = requested.unit;

-- made_by(user_ids, units, types, keys) -> Entry
SELECT
    held.user_id, held.unit, held.seq, held.amount, held.balance_before, held.balance_after, held.event_type,
    held.event_key, held.reason, held.staff_id, held.tier_before, held.tier_after, held.correlation_id,
    held.created_at, held.lifetime_after, held.tier_progress
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS requested (user_id, unit, event_type, event_key)
CROSS JOIN LATERAL (
    SELECT *
    FROM tallystick.ledger_entries AS entry
    WHERE
        entry.user_id = requested.user_id AND entry.unit = requested.unit
        AND entry.event_type = requested.event_type AND entry.event_key = requested.event_key
    OFFSET 0
) AS held;

-- grants(event_keys) -> Entry
SELECT
    user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, reason, staff_id, tier_before,
    tier_after, correlation_id, created_at, lifetime_after, tier_progress
FROM tallystick.ledger_entries
WHERE event_key = ANY($1::text[]) AND event_type = 'grant';

-- post(user_ids, units, seqs, amounts, befores, afters, types, keys, reasons, staff_ids, tiers_before, tiers_after, correlation_ids, created_ats, lifetimes_after, progresses, account_users, account_units, balances, versions, lifetimes, updated_ats) -> nothing
-- Entries and their accounts in one round trip. The accounts are locked: no other transaction changed them since they
-- were read.
WITH entered AS (
    INSERT INTO tallystick.ledger_entries (
        user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, reason, staff_id,
        tier_before, tier_after, correlation_id, created_at, lifetime_after, tier_progress
    )
    SELECT
        new.user_id, new.unit, new.seq, new.amount, new.balance_before, new.balance_after, new.event_type,
        new.event_key, new.reason, new.staff_id, new.tier_before, new.tier_after, new.correlation_id, new.created_at,
        new.lifetime_after, new.tier_progress
    FROM unnest(
        $1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::text[],
        $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::timestamptz[], $15::bigint[],
        $16::bigint[]
    ) AS new (
        user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, reason, staff_id,
        tier_before, tier_after, correlation_id, created_at, lifetime_after, tier_progress
    )
)

UPDATE tallystick.ledger_accounts AS held
SET balance = new.balance, version = new.version, lifetime = new.lifetime, updated_at = new.updated_at
FROM unnest($17::text[], $18::text[], $19::bigint[], $20::bigint[], $21::bigint[], $22::timestamptz[])
AS new (user_id, unit, balance, version, lifetime, updated_at)
WHERE held.user_id = new.user_id AND held.unit = new.unit AND held.user_id = ANY($17::text[]);

-- page(user_id, unit, limit) -> Entry
SELECT
    user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, reason, staff_id, tier_before,
    tier_after, correlation_id, created_at, lifetime_after, tier_progress
FROM tallystick.ledger_entries
WHERE user_id = $1::text AND unit = $2::text
ORDER BY seq DESC
LIMIT $3::bigint;

-- page_before(user_id, unit, seq, limit) -> Entry
SELECT
    user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, reason, staff_id, tier_before,
    tier_after, correlation_id, created_at, lifetime_after, tier_progress
FROM tallystick.ledger_entries
WHERE user_id = $1::text AND unit = $2::text AND seq < $3::bigint
ORDER BY seq DESC
LIMIT $4::bigint;
