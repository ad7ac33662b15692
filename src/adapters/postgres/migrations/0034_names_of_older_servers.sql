-- Names that servers without keys of names stored during the upgrade get their keys; no key stays without its name.

-- squawk-ignore-file ban-concurrent-index-creation-in-transaction, ban-drop-function, constraint-missing-not-valid
-- kind: after
-- locks: users ACCESS EXCLUSIVE
-- migrate:up transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

-- Those servers stored a name without its key, and left the key of the name before it. The first round takes away keys
-- of other names, so that the second one finds every key free that nobody has. Each user is a transaction of its own.
-- The owner of the tables sees no rows of users; the service does.
SET statement_timeout = '4h';
SET ROLE tallystick_app;
DO $$
DECLARE
    differing record;
BEGIN
    -- An earlier form of 0019 kept no function; no server of the version before could run beside it.
    IF to_regprocedure('tallystick.username_key(text)') IS NULL THEN
        RETURN;
    END IF;
    FOR round IN 1..2 LOOP
        FOR differing IN
            SELECT user_id, username, username_key, tallystick.username_key(username) AS expected
            FROM tallystick.users
            WHERE username_key IS DISTINCT FROM tallystick.username_key(username)
            ORDER BY created_at, user_id
        LOOP
            BEGIN
                UPDATE tallystick.users
                SET username_key = CASE WHEN round = 2 THEN differing.expected END
                WHERE
                    user_id = differing.user_id AND username IS NOT DISTINCT FROM differing.username
                    AND username_key IS NOT DISTINCT FROM differing.username_key
                    AND (round = 2 OR username_key IS NOT NULL);
            EXCEPTION WHEN unique_violation THEN
                NULL; -- another user has the name: this one keeps it and reserves nothing
            END;
            COMMIT;
        END LOOP;
    END LOOP;
END
$$;
RESET ROLE;
SET statement_timeout = '15min';
DROP FUNCTION IF EXISTS tallystick.username_key(text);

-- A name that is gone reserves nothing.
ALTER TABLE tallystick.users DROP CONSTRAINT IF EXISTS users_key_has_username;
ALTER TABLE tallystick.users
ADD CONSTRAINT users_key_has_username CHECK (username_key IS NULL OR username IS NOT NULL) NOT VALID;
ALTER TABLE tallystick.users VALIDATE CONSTRAINT users_key_has_username;
-- Only servers of the version before look for names as they are written.
DROP INDEX CONCURRENTLY IF EXISTS tallystick.users_by_username;

-- migrate:down transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

CREATE INDEX CONCURRENTLY IF NOT EXISTS users_by_username ON tallystick.users
(username) WHERE username IS NOT NULL;
ALTER TABLE tallystick.users DROP CONSTRAINT IF EXISTS users_key_has_username;
