-- The role and the time-outs of the service as settings of its login, for connections through PgBouncer.
-- Run it once as a superuser, and then RECONNECT on the console of PgBouncer: open connections keep the old settings.
ALTER ROLE tallystick_service SET role = 'tallystick_app';
ALTER ROLE tallystick_service SET search_path = 'tallystick';
ALTER ROLE tallystick_service SET jit = 'off';
ALTER ROLE tallystick_service SET enable_seqscan = 'off';
ALTER ROLE tallystick_service SET statement_timeout = '5000';
ALTER ROLE tallystick_service SET lock_timeout = '1500';
ALTER ROLE tallystick_service SET idle_in_transaction_session_timeout = '10000';
