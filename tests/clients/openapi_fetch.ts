// The flow of tests/integration/test_generated_clients.py with openapi-fetch on the types of openapi-typescript.
import assert from 'node:assert/strict';
import createClient from 'openapi-fetch';
import type { paths } from './schema';

const { ADDRESS = '', ADA = '', BOB = '', STAFF = '' } = process.env;
const as = (token: string) => createClient<paths>({ baseUrl: ADDRESS, headers: { authorization: `Bearer ${token}` } });
const [ada, bob, staff] = [as(ADA), as(BOB), as(STAFF)];

const main = async (): Promise<void> => {
  const { data: link } = await ada.GET('/api/my-referral-link');
  assert.ok(link);
  const { data: upserted } = await bob.POST('/api/users/upsert', { body: { referred_by: link.referral_code } });
  assert.equal(upserted?.attribution, 'recorded');

  const { data: reward } = await staff.POST('/api/rewards', { body: { name: 'A hat', cost: 40 } });
  assert.ok(reward);
  const params = { path: { reward_id: reward.reward_id } };
  const { error: poor } = await bob.POST('/api/rewards/{reward_id}/purchase', { params });
  assert.equal(poor?.code, 'INSUFFICIENT_FUNDS');
  if (poor.code === 'INSUFFICIENT_FUNDS') {
    const facts: [number, number] = [poor.balance, poor.cost];
    assert.deepEqual(facts, [0, 40]);
  }

  const body = { user_id: 'bob', amount: 100, reason: 'welcome', event_key: 'welcome-bob' };
  const header = { 'Idempotency-Key': 'grant-1' };
  const first = await staff.POST('/api/credits/grants', { body, params: { header } });
  const again = await staff.POST('/api/credits/grants', { body, params: { header } });
  assert.deepEqual(again.data, first.data);
  assert.equal(again.response.headers.get('idempotency-hit'), 'true');

  const { data: purchase } = await bob.POST('/api/rewards/{reward_id}/purchase', { params, body: {} });
  assert.equal(purchase?.balance_after, 60);
  const orders = [{ user_id: 'bob', reward_id: reward.reward_id }];
  const { data: outcomes } = await staff.POST('/api/rewards/purchases', { body: { orders } });
  const outcome = outcomes?.results[0];
  assert.equal(outcome?.outcome === 'refused' ? outcome.code : '', 'ALREADY_COLLECTED');
};

void main().then(() => console.log('the flow is complete'));
