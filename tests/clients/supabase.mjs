// Old frontends by the real supabase-js: tests/integration/test_old_frontends.py runs every case and reads its line.
import assert from 'node:assert/strict';
import { createClient } from '@supabase/supabase-js';

const { ADDRESS, ANONYMOUS, ADA, BOB, GONE, OWNER, STAFF } = process.env;
const quiet = { auth: { persistSession: false, autoRefreshToken: false } };
const of = (token, address = ADDRESS) => createClient(address, ANONYMOUS, { ...quiet, accessToken: async () => token });
const [ada, bob, owner, staff] = [ADA, BOB, OWNER, STAFF].map((token) => of(token));
const nobody = createClient(ADDRESS, ANONYMOUS, quiet);

const api = async (token, method, path, body) => {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const answer = await fetch(ADDRESS + path, { method, headers, body: JSON.stringify(body) });
  assert.ok(answer.ok, `${path}: ${await answer.clone().text()}`);
  return answer.json();
};

const it = async (name, work) => {
  await work();
  console.log(name);
};
const succeeds = (name, call, check) =>
  it(`${name} succeeds`, async () => {
    const { data, error } = await call();
    assert.equal(error, null);
    check(data);
  });
const refuses = (name, code, call) =>
  it(`${name} refuses ${code}`, async () => {
    const { data, error } = await call();
    assert.equal(data, null);
    assert.ok(error.message.includes(code), JSON.stringify(error));
  });

// A wallet, an invite and a room to call functions on.
await api(BOB, 'POST', '/api/users/upsert', {});
await api(STAFF, 'POST', '/api/credits/grants', { user_id: 'ada', amount: 100, reason: 'welcome', event_key: 'ada' });
const offered = async (cost) => (await api(OWNER, 'POST', '/api/rewards', { name: 'A hat', cost })).reward_id;
const [hat, car] = [await offered(40), await offered(4000)];
const soon = new Date(Date.now() + 50).toISOString();
await api(OWNER, 'POST', '/api/invites', { max_uses: 1, code: 'SEATS111' });
await api(OWNER, 'POST', '/api/invites', { max_uses: 5, code: 'SEATS222', expires_at: soon });
const { invite_id } = await api(OWNER, 'POST', '/api/invites', { max_uses: 5, code: 'SEATS333' });
await api(OWNER, 'POST', `/api/invites/${invite_id}/revoke`, {});
const { channel_id } = await api(ADA, 'POST', '/api/channels', { name: 'chess' });
await api(ADA, 'PUT', `/api/channels/${channel_id}/members/bob`, { role: 'member' });
await api(ADA, 'DELETE', `/api/channels/${channel_id}/members/bob`);
await api(GONE, 'POST', '/api/users/upsert', {});
await api(STAFF, 'DELETE', '/api/admin/users/gone');

const buy = (client, p_reward_id) => client.rpc('purchase_reward', { p_reward_id, p_collector_id: 'bob' });
await succeeds('purchase_reward', () => buy(ada, hat), (bought) => assert.equal(bought.balance_after, 60));
await refuses('purchase_reward', 'ALREADY_COLLECTED', () => buy(ada, hat));
await refuses('purchase_reward', 'INSUFFICIENT_FUNDS', () => buy(ada, car));
await refuses('purchase_reward', 'SELF_PURCHASE', () => buy(owner, car));
await refuses('purchase_reward', 'REWARD_NOT_FOUND', () => buy(ada, 'none'));
await refuses('purchase_bounty', 'FUNCTION_REPLACED', () => ada.rpc('purchase_bounty', { p_bounty_id: hat }));
await it('single of one object', async () => {
  const { data, error } = await buy(owner, hat).single();
  assert.deepEqual([data, error.message], [null, 'SELF_PURCHASE']);
  const { data: code } = await ada.rpc('assign_referral_code').single();
  assert.equal(typeof code, 'string');
});

const { data: code } = await ada.rpc('assign_referral_code', { p_user_id: 'bob' });
const text = (value) => assert.match(value, /^[0-9A-Z]{8}$/);
await succeeds('assign_referral_code', () => ada.rpc('assign_referral_code'), text);
await succeeds('mark_otp_verified', () => ada.rpc('mark_otp_verified', { p_user_id: 'ada' }), (is) => assert.equal(is, true));
await it('mark_otp_verified believes the token alone', async () => {
  assert.equal((await bob.rpc('mark_otp_verified', { p_user_id: 'bob' })).data, false);
});
const resolve = (client, p_code, options) => client.rpc('resolve_referral_code', { p_code }, options);
await succeeds('resolve_referral_code', () => resolve(nobody, code), (found) => assert.equal(found, code));
await it('resolve_referral_code of nobody is null', async () => {
  const { data, error } = await resolve(nobody, 'NOBODY99').maybeSingle();
  assert.deepEqual([data, error], [null, null]);
});

const use = (client, p_code) => client.rpc('use_invite_code', { p_code, p_user_id: 'ada' });
await succeeds('use_invite_code', () => use(ada, 'SEATS111'), (used) => assert.equal(used.remaining, 0));
await refuses('use_invite_code', 'ALREADY_USED', () => use(ada, 'SEATS111'));
await refuses('use_invite_code', 'INVITE_EXHAUSTED', () => use(bob, 'SEATS111'));
await refuses('use_invite_code', 'INVITE_EXPIRED', () => use(bob, 'SEATS222'));
await refuses('use_invite_code', 'INVITE_REVOKED', () => use(bob, 'SEATS333'));
await refuses('use_invite_code', 'INVITE_NOT_FOUND', () => use(bob, 'SEATS444'));

const award = (client, p_player_id, p_delta_points) =>
  client.rpc('increment_player_loyalty', { p_player_id, p_delta_points });
await succeeds('increment_player_loyalty', () => award(staff, 'bob', 500), ([row]) => assert.equal(row.balance_after, 500));
await refuses('increment_player_loyalty', 'SELF_AWARD', () => award(staff, 'staff', 500));
await refuses('increment_player_loyalty', 'REWARD_LIMIT_EXCEEDED', () => award(staff, 'bob', 10001));
await refuses('increment_player_loyalty', 'USER_NOT_FOUND', () => award(staff, 'nobody', 1));
await refuses('increment_player_loyalty', 'FORBIDDEN', () => award(ada, 'bob', 1));
await it('single of one row', async () => {
  const { data, error } = await award(staff, 'bob', 7).single();
  assert.deepEqual([error, data.balance_after], [null, 507]);
});
await api(STAFF, 'PUT', '/api/admin/flags/points_enabled', { enabled: false });
await refuses('increment_player_loyalty', 'POINTS_DISABLED', () => award(staff, 'bob', 8));

const fetched = (client, options, more) =>
  client.rpc('fetch_social_messages', { p_channel_id: channel_id, ...more }, options);
const insert = (client, p_body, p_channel_id = channel_id) =>
  client.rpc('insert_social_message', { p_channel_id, p_body, p_sender_id: 'bob', p_client_message_id: null });
await it('single and maybeSingle of no row', async () => {
  const { data, error } = await fetched(ada).single();
  assert.deepEqual([data, error.code, error.details], [null, 'PGRST116', 'The result contains 0 rows']);
  assert.deepEqual([(await fetched(ada).maybeSingle()).data, (await fetched(ada).maybeSingle()).error], [null, null]);
});
await succeeds('insert_social_message', () => insert(ada, 'hello'), (sent) => assert.equal(sent.sender_id, 'ada'));
await it('single and maybeSingle of one row', async () => {
  assert.equal((await fetched(ada).single()).data.body, 'hello');
  assert.equal((await fetched(ada, { get: true }).maybeSingle()).data.body, 'hello');
});
await refuses('insert_social_message', 'MESSAGE_LENGTH', () => insert(ada, ''));
await refuses('insert_social_message', 'CHANNEL_NOT_FOUND', () => insert(ada, 'hello', 'none'));
await refuses('insert_social_message', 'NOT_A_MEMBER', () => insert(bob, 'hello'));
await insert(ada, 'again');
const newest = (rows) => assert.deepEqual(rows.map((row) => row.body), ['again', 'hello']);
await succeeds('fetch_social_messages', () => fetched(ada), newest);
await refuses('fetch_social_messages', 'NOT_A_MEMBER', () => fetched(bob));
await refuses('fetch_social_messages', 'CHANNEL_NOT_FOUND', () => fetched(bob, {}, { p_channel_id: 'none' }));
await refuses('fetch_social_messages', 'INVALID_REQUEST', () => fetched(ada, {}, { p_limit: 'many' }));
await it('single and maybeSingle of two rows', async () => {
  for (const call of [fetched(ada).single(), fetched(ada).maybeSingle()]) assert.equal((await call).error.code, 'PGRST116');
});
await it('get', async () => {
  newest((await fetched(ada, { get: true }, { p_limit: 2 })).data);
  assert.equal((await resolve(nobody, code, { get: true })).data, code);
  assert.equal((await ada.rpc('assign_referral_code', {}, { get: true })).status, 405);
});
await it('count', async () => {
  for (const options of [{ count: 'exact' }, { get: true, count: 'estimated' }, { head: true, count: 'planned' }])
    assert.equal((await fetched(ada, options)).count, 2);
  assert.equal((await fetched(ada)).count, null);
});
await it('select without columns', async () => newest((await fetched(ada).select()).data));

const rules = { roles: { captain: { slots: 1 }, player: { slots: 2 } } };
const slot = (role, number, player_id) => ({ role, slot: number, player_id });
const [captain, player] = [slot('captain', 1, 'ada'), slot('player', 2, 'bob')];
const calls = {
  verify_rank_roles_and_slots: (slots) => ada.rpc('verify_rank_roles_and_slots', { p_slots: slots, p_rules: rules }),
  sync_rank_match_roster: (slots, client = ada, p_roster_version = 0) =>
    client.rpc('sync_rank_match_roster', { p_room_id: 'final', p_roster_version, p_slots: slots, p_rules: rules }),
};
const checks = {
  verify_rank_roles_and_slots: (rows) => assert.deepEqual(rows.map((row) => row.taken), [1, 1]),
  sync_rank_match_roster: (roster) => assert.equal(roster.roster_version, 1),
};
for (const [name, call] of Object.entries(calls)) {
  await succeeds(name, () => call([captain, player]), checks[name]);
  await refuses(name, 'UNKNOWN_ROLE', () => call([slot('referee', 1, 'ada')]));
  await refuses(name, 'SLOTS_EXCEEDED', () => call([slot('captain', 2, 'ada')]));
  await refuses(name, 'PLAYER_TWICE', () => call([captain, slot('player', 1, 'ada')]));
  await refuses(name, 'SLOT_TAKEN', () => call([captain, slot('captain', 1, 'bob')]));
}
const sync = calls.sync_rank_match_roster;
await refuses('sync_rank_match_roster', 'ROSTER_STALE', () => sync([], ada, 7));
await refuses('sync_rank_match_roster', 'NOT_YOUR_ROOM', () => sync([], bob, 1));
await refuses('sync_rank_match_roster', 'PLAYER_DELETED', () => sync([slot('captain', 1, 'gone')], ada, 1));

await it('the anonymous key is nobody', async () => {
  for (const client of [nobody, createClient(ADDRESS, 'sb_publishable_key', quiet)]) {
    const { error, status } = await buy(client, hat);
    assert.deepEqual([error.message, error.code, status], ['UNAUTHENTICATED', '42501', 401]);
    assert.equal((await resolve(client, code)).data, code);
  }
});
await it('a token that is not valid has a code of its own', async () => {
  assert.equal((await buy(of('not.a.token'), hat)).error.code, 'PGRST301');
});
await it('an unknown function', async () => {
  for (const call of [ada.rpc('drop_everything'), buy(ada), fetched(ada).eq('seq', 1), fetched(ada).limit(1)])
    assert.equal((await call).error.code, 'PGRST202');
  assert.equal((await ada.rpc('drop_everything')).status, 404);
});

process.exit(0);
