-- record(action_ids, action, subjects, founds, dones, operator, acted_at) -> nothing
INSERT INTO tallystick.operator_actions (action_id, action, subject, found, done, operator, acted_at)
SELECT new.action_id, $2::text, new.subject, new.found, new.done, $6::text, $7::timestamptz
FROM unnest($1::text[], $3::text[], $4::text[], $5::text[]) AS new (action_id, subject, found, done);
