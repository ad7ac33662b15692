-- The key of request fingerprints is kept beside the replies, so that no other secret changes what counts as a repeat.

-- kind: before
-- locks: none
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

CREATE TABLE tallystick.fingerprint_keys (
    purpose text COLLATE "C" NOT NULL,
    key bytea NOT NULL,
    CONSTRAINT fingerprint_keys_pkey PRIMARY KEY (purpose),
    CONSTRAINT fingerprint_keys_length CHECK (octet_length(key) = 32)
);

ALTER TABLE tallystick.fingerprint_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.fingerprint_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY fingerprint_keys_service ON tallystick.fingerprint_keys
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.fingerprint_keys FROM public, anon, authenticated;
GRANT SELECT, INSERT ON tallystick.fingerprint_keys TO tallystick_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

DROP TABLE tallystick.fingerprint_keys;
