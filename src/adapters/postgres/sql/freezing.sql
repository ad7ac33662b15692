-- freeze(user_id, units, frozen_at) -> Account
-- A missing account is opened, so that a later transaction finds it frozen.
INSERT INTO tallystick.ledger_accounts AS held (user_id, unit, frozen_at)
SELECT $1::text, new.unit, $3::timestamptz
FROM unnest($2::text[]) AS new (unit)
WHERE
    EXISTS (SELECT 1 FROM tallystick.users AS known WHERE known.user_id = $1::text)
    OR EXISTS (SELECT 1 FROM tallystick.ledger_accounts AS known WHERE known.user_id = $1::text)
ORDER BY new.unit
ON CONFLICT (user_id, unit) DO UPDATE SET frozen_at = coalesce(held.frozen_at, excluded.frozen_at)
RETURNING held.user_id, held.unit, held.balance, held.version, held.lifetime, held.updated_at, held.frozen_at;

-- thaw(user_id, units) -> Account
UPDATE tallystick.ledger_accounts
SET frozen_at = NULL
WHERE user_id = $1::text AND unit = ANY($2::text[])
RETURNING user_id, unit, balance, version, lifetime, updated_at, frozen_at;
