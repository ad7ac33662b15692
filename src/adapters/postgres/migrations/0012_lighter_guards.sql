-- Guards that hold from now on hold for what was there too, and indexes that each new code and user paid for go.

-- squawk-ignore-file ban-concurrent-index-creation-in-transaction
-- kind: before
-- locks: phone_verifications SHARE UPDATE EXCLUSIVE, referral_codes SHARE UPDATE EXCLUSIVE, users SHARE UPDATE EXCLUSIVE
-- migrate:up transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

ALTER TABLE tallystick.users VALIDATE CONSTRAINT users_user_id_form;
ALTER TABLE tallystick.referral_codes VALIDATE CONSTRAINT referral_codes_normal_form;
ALTER TABLE tallystick.phone_verifications VALIDATE CONSTRAINT phone_verifications_source_known;
-- Canonical codes are found by the index that lets each user have one; here are only the others.
CREATE INDEX CONCURRENTLY IF NOT EXISTS referral_codes_aliases ON tallystick.referral_codes
(user_id, code) WHERE NOT is_canonical;
DROP INDEX CONCURRENTLY IF EXISTS tallystick.referral_codes_of_user;
-- Nearly nobody leads: those without referrals need no place among those who do.
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_with_referrals ON tallystick.users
(referrals DESC, user_id) WHERE deleted_at IS NULL AND referrals > 0;
DROP INDEX CONCURRENTLY IF EXISTS tallystick.users_leaders;

-- migrate:down transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

CREATE INDEX CONCURRENTLY IF NOT EXISTS users_leaders ON tallystick.users
(referrals DESC, user_id) WHERE deleted_at IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS tallystick.users_with_referrals;
CREATE INDEX CONCURRENTLY IF NOT EXISTS referral_codes_of_user ON tallystick.referral_codes (user_id);
DROP INDEX CONCURRENTLY IF EXISTS tallystick.referral_codes_aliases;
