-- The ledger: balances, and every change of them for ever.

-- kind: before
-- locks: none
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

-- Room on each page: a balance that changes stays where it is, and no index has to know.
CREATE TABLE tallystick.ledger_accounts (
    user_id text COLLATE "C" NOT NULL,
    unit text COLLATE "C" NOT NULL,
    balance bigint NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 0,
    CONSTRAINT ledger_accounts_pkey PRIMARY KEY (user_id, unit),
    CONSTRAINT ledger_accounts_unit_known CHECK (unit IN ('credits', 'points')),
    CONSTRAINT ledger_accounts_never_negative CHECK (balance BETWEEN 0 AND 9007199254740991),
    CONSTRAINT ledger_accounts_version_counts CHECK (version >= 0)
) WITH (fillfactor = 80);

ALTER TABLE tallystick.ledger_accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.ledger_accounts FORCE ROW LEVEL SECURITY;
CREATE POLICY ledger_accounts_service ON tallystick.ledger_accounts
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.ledger_accounts FROM public, anon, authenticated;
GRANT SELECT, INSERT, UPDATE (balance, version) ON tallystick.ledger_accounts TO tallystick_app;

CREATE TABLE tallystick.ledger_entries (
    user_id text COLLATE "C" NOT NULL,
    unit text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    amount bigint NOT NULL,
    balance_before bigint NOT NULL,
    balance_after bigint NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    event_key text COLLATE "C" NOT NULL,
    reason text,
    staff_id text COLLATE "C",
    tier_before text COLLATE "C",
    tier_after text COLLATE "C",
    correlation_id text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT ledger_entries_pkey PRIMARY KEY (user_id, unit, seq),
    CONSTRAINT ledger_entries_event_key UNIQUE (user_id, unit, event_type, event_key),
    CONSTRAINT ledger_entries_account_fkey FOREIGN KEY (user_id, unit)
    REFERENCES tallystick.ledger_accounts (user_id, unit),
    CONSTRAINT ledger_entries_seq_counts CHECK (seq >= 1),
    CONSTRAINT ledger_entries_add_up CHECK (balance_after = balance_before + amount),
    CONSTRAINT ledger_entries_never_negative CHECK (balance_before >= 0 AND balance_after >= 0)
);
-- A grant's event key is one event, whoever it was for.
CREATE UNIQUE INDEX ledger_entries_grant_key ON tallystick.ledger_entries (event_key)
WHERE event_type = 'grant';

ALTER TABLE tallystick.ledger_entries ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.ledger_entries FORCE ROW LEVEL SECURITY;
CREATE POLICY ledger_entries_service ON tallystick.ledger_entries
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.ledger_entries FROM public, anon, authenticated;
GRANT SELECT, INSERT ON tallystick.ledger_entries TO tallystick_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

DROP TABLE tallystick.ledger_entries;
DROP TABLE tallystick.ledger_accounts;
