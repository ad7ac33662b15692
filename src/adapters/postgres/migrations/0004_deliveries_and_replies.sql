-- What was taken or answered once: webhook deliveries and idempotent replies. Both are forgotten after their time.

-- kind: before
-- locks: none
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

CREATE TABLE tallystick.webhook_deliveries (
    delivery_id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    received_at timestamptz NOT NULL,
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (delivery_id),
    CONSTRAINT webhook_deliveries_kind_known CHECK (kind IN ('created', 'updated', 'deleted'))
);
CREATE INDEX webhook_deliveries_by_age ON tallystick.webhook_deliveries (received_at);

ALTER TABLE tallystick.webhook_deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.webhook_deliveries FORCE ROW LEVEL SECURITY;
CREATE POLICY webhook_deliveries_service ON tallystick.webhook_deliveries
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.webhook_deliveries FROM public, anon, authenticated;
GRANT SELECT, INSERT, DELETE ON tallystick.webhook_deliveries TO tallystick_app;

CREATE TABLE tallystick.idempotency_keys (
    caller text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    status bigint NOT NULL,
    body bytea NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (caller, key),
    CONSTRAINT idempotency_keys_key_form CHECK (key ~ '^[!-~]{1,255}$'),
    CONSTRAINT idempotency_keys_status_final CHECK (status BETWEEN 200 AND 499)
);
CREATE INDEX idempotency_keys_by_age ON tallystick.idempotency_keys (created_at);

ALTER TABLE tallystick.idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.idempotency_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY idempotency_keys_service ON tallystick.idempotency_keys
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.idempotency_keys FROM public, anon, authenticated;
GRANT SELECT, INSERT, DELETE ON tallystick.idempotency_keys TO tallystick_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

DROP TABLE tallystick.idempotency_keys;
DROP TABLE tallystick.webhook_deliveries;
