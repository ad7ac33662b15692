-- The same rules on the same tables, as stored functions. Each call decides one order or one seat. Only the
-- benchmark's database has these functions.
CREATE SCHEMA bench;
GRANT USAGE ON SCHEMA bench TO tallystick_app;

-- Refusals are values, so that a batch of orders can continue after one.
CREATE FUNCTION bench.purchase(
    buyer text, wanted text,
    OUT refusal text, OUT cost bigint, OUT balance_before bigint, OUT balance_after bigint, OUT collected_at timestamptz
)
LANGUAGE plpgsql AS $$
DECLARE
    account_version bigint;
    owner_id text;
    is_active boolean;
    is_deleted boolean;
    is_collected boolean;
    order_id text;
BEGIN
    SELECT a.balance, a.version INTO balance_before, account_version
    FROM tallystick.ledger_accounts AS a WHERE a.user_id = buyer AND a.unit = 'credits' FOR NO KEY UPDATE;

    -- After the lock, so that rows of a concurrent order of the same buyer are seen.
    SELECT
        r.cost, r.owner_id, r.active,
        EXISTS (SELECT FROM tallystick.users AS u WHERE u.user_id = buyer AND u.deleted_at IS NOT NULL),
        EXISTS (SELECT FROM tallystick.collected_rewards AS c WHERE c.user_id = buyer AND c.reward_id = wanted)
    INTO cost, owner_id, is_active, is_deleted, is_collected
    FROM (SELECT) AS one LEFT JOIN tallystick.rewards AS r ON r.reward_id = wanted;

    refusal := CASE
        WHEN is_deleted THEN 'USER_DELETED'
        WHEN is_active IS NOT TRUE THEN 'REWARD_NOT_FOUND'
        WHEN owner_id = buyer THEN 'SELF_PURCHASE'
        WHEN is_collected THEN 'ALREADY_COLLECTED'
        WHEN coalesce(balance_before, 0) < cost THEN 'INSUFFICIENT_FUNDS'
    END;
    IF refusal IS NOT NULL THEN
        RETURN;
    END IF;

    balance_after := balance_before - cost;
    collected_at := now();
    order_id := gen_random_uuid();
    INSERT INTO tallystick.collected_rewards (
        user_id, reward_id, cost, balance_before, balance_after, order_id, collected_at
    ) VALUES (buyer, wanted, cost, balance_before, balance_after, order_id, collected_at);
    INSERT INTO tallystick.ledger_entries (
        user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, correlation_id, created_at
    ) VALUES (
        buyer, 'credits', account_version + 1, -cost, balance_before, balance_after, 'purchase', wanted, order_id,
        collected_at
    );
    UPDATE tallystick.ledger_accounts AS a SET balance = balance_after, version = account_version + 1
    WHERE a.user_id = buyer AND a.unit = 'credits';
END
$$;

-- Buyers in key order, so that two batches queue instead of deadlocking; the outcomes are in the order of the orders.
CREATE FUNCTION bench.purchase_many(buyers text[], wanted text[]) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
    outcomes text[] := array_fill(NULL::text, ARRAY[cardinality(buyers)]);
    each record;
BEGIN
    FOR each IN
        SELECT o.buyer, o.reward, o.place
        FROM unnest(buyers, wanted) WITH ORDINALITY AS o (buyer, reward, place) ORDER BY o.buyer, o.place
    LOOP
        outcomes[each.place] := (SELECT coalesce(p.refusal, p.balance_after::text)
                                 FROM bench.purchase(each.buyer, each.reward) AS p);
    END LOOP;
    RETURN outcomes;
END
$$;

-- The shared row is locked late, by the update that decides. A second redemption of the same user at the same moment
-- fails at its primary key, with its whole transaction.
CREATE FUNCTION bench.redeem(
    who text, typed text, OUT refusal text, OUT invite_id text, OUT remaining bigint, OUT redeemed_at timestamptz
)
LANGUAGE plpgsql AS $$
DECLARE
    is_deleted boolean;
    is_used boolean;
BEGIN
    redeemed_at := now();
    SELECT
        i.invite_id,
        EXISTS (SELECT FROM tallystick.users AS u WHERE u.user_id = who AND u.deleted_at IS NOT NULL),
        EXISTS (SELECT FROM tallystick.invite_uses AS s WHERE s.invite_id = i.invite_id AND s.user_id = who)
    INTO invite_id, is_deleted, is_used
    FROM (SELECT) AS one LEFT JOIN tallystick.invites AS i ON i.code = typed;

    refusal := CASE
        WHEN is_deleted THEN 'USER_DELETED'
        WHEN invite_id IS NULL THEN 'INVITE_NOT_FOUND'
        WHEN is_used THEN 'ALREADY_USED'
    END;
    IF refusal IS NOT NULL THEN
        RETURN;
    END IF;

    UPDATE tallystick.invites AS i SET current_uses = i.current_uses + 1
    WHERE
        i.code = typed AND i.current_uses < i.max_uses AND i.revoked_at IS NULL
        AND (i.expires_at IS NULL OR i.expires_at > redeemed_at)
    RETURNING i.max_uses - i.current_uses INTO remaining;
    IF NOT FOUND THEN
        SELECT CASE
            WHEN i.expires_at <= redeemed_at THEN 'INVITE_EXPIRED'
            WHEN i.revoked_at IS NOT NULL THEN 'INVITE_REVOKED'
            ELSE 'INVITE_EXHAUSTED'
        END INTO refusal FROM tallystick.invites AS i WHERE i.code = typed;
        RETURN;
    END IF;

    INSERT INTO tallystick.invite_uses (invite_id, user_id, attempt_id, used_at)
    VALUES (invite_id, who, gen_random_uuid(), redeemed_at);
END
$$;

-- A repeated event gets the first answer; tiers have their default thresholds.
CREATE FUNCTION bench.award(
    player text, staff text, given bigint, key text,
    OUT refusal text, OUT before bigint, OUT after bigint, OUT tier text, OUT progress bigint, OUT lifetime_after bigint
)
LANGUAGE plpgsql AS $$
DECLARE
    account_version bigint;
    lifetime_before bigint;
    stopped_at timestamptz;
    is_deleted boolean;
    tier_before text;
BEGIN
    SELECT a.balance, a.version, a.lifetime, a.frozen_at
    INTO before, account_version, lifetime_before, stopped_at
    FROM tallystick.ledger_accounts AS a WHERE a.user_id = player AND a.unit = 'points' FOR NO KEY UPDATE;

    SELECT u.deleted_at IS NOT NULL INTO is_deleted FROM tallystick.users AS u WHERE u.user_id = player;
    refusal := CASE
        WHEN is_deleted IS NOT FALSE THEN 'USER_NOT_FOUND'
        WHEN stopped_at IS NOT NULL THEN 'ACCOUNT_FROZEN'
    END;
    IF refusal IS NOT NULL THEN
        RETURN;
    END IF;

    after := before + given;
    lifetime_after := lifetime_before + given;
    SELECT t.name INTO tier_before
    FROM (VALUES ('bronze', 0), ('silver', 1000), ('gold', 5000), ('platinum', 20000)) AS t (name, begins)
    WHERE t.begins <= lifetime_before ORDER BY t.begins DESC LIMIT 1;
    SELECT t.name, coalesce((lifetime_after - t.begins) * 100 / (t.ends - t.begins), 100) INTO tier, progress
    FROM (VALUES ('bronze', 0, 1000), ('silver', 1000, 5000), ('gold', 5000, 20000), ('platinum', 20000, NULL))
    AS t (name, begins, ends)
    WHERE t.begins <= lifetime_after ORDER BY t.begins DESC LIMIT 1;
    INSERT INTO tallystick.ledger_entries (
        user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, reason, staff_id,
        tier_before, tier_after, correlation_id, created_at, lifetime_after, tier_progress
    ) VALUES (
        player, 'points', account_version + 1, given, before, after, 'manual_reward', key, 'bench', staff,
        tier_before, tier, gen_random_uuid(), now(), lifetime_after, progress
    ) ON CONFLICT (user_id, unit, event_type, event_key) DO NOTHING;
    IF NOT FOUND THEN
        refusal := 'REPEATED';
        RETURN;
    END IF;
    UPDATE tallystick.ledger_accounts AS a
    SET balance = after, version = account_version + 1, lifetime = lifetime_after, updated_at = now()
    WHERE a.user_id = player AND a.unit = 'points';
END
$$;

-- Players in key order, so that two batches queue instead of deadlocking.
CREATE FUNCTION bench.award_many(players text[], keys text[]) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    each record;
    credited bigint := 0;
BEGIN
    FOR each IN
        SELECT o.player, o.key FROM unnest(players, keys) WITH ORDINALITY AS o (player, key, place)
        ORDER BY o.player, o.place
    LOOP
        credited := credited + (SELECT (p.refusal IS NULL)::int FROM bench.award(each.player, 'staff', 7, each.key) AS p);
    END LOOP;
    RETURN credited;
END
$$;

-- The rows of a message, without any rule: the number from the row of the topic, which stays locked until the commit,
-- the event and the message.
CREATE FUNCTION bench.send(room text, sender text, words text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    number bigint;
    sent_at timestamptz;
    message text := gen_random_uuid()::text;
BEGIN
    UPDATE tallystick.topics AS t SET head = t.head + 1, last_at = greatest(clock_timestamp(), t.last_at)
    WHERE t.topic_id = room RETURNING t.head, t.last_at INTO number, sent_at;
    INSERT INTO tallystick.topic_events (topic_id, seq, event_id, kind, ref, actor_id, created_at)
    VALUES (room, number, gen_random_uuid()::text, 'message', message, sender, sent_at);
    INSERT INTO tallystick.messages (channel_id, seq, message_id, sender_id, client_message_id, body, created_at)
    VALUES (room, number, message, sender, message, words, sent_at);
    RETURN number;
END
$$;
