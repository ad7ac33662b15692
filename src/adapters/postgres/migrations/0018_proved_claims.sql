-- Proved claims: when the identity provider proved an address or a name orders who holds it.

-- kind: before
-- locks: users ACCESS EXCLUSIVE
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

-- Of those who are here already nobody knows what was proved: the provider's next event says so.
ALTER TABLE tallystick.users
ADD COLUMN email_proved_at timestamptz,
ADD COLUMN username_proved_at timestamptz;
GRANT UPDATE (email_proved_at, username_proved_at) ON tallystick.users TO tallystick_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

ALTER TABLE tallystick.users
DROP COLUMN email_proved_at,
DROP COLUMN username_proved_at;
