// The flow of tests/integration/test_generated_clients.py with the client of @hey-api/openapi-ts.
import assert from 'node:assert/strict';
import { getMyReferralLink, grantCredits, offerReward, purchaseReward, purchaseRewards, upsertUser } from './hey';
import { createClient } from './hey/client';

const { ADDRESS = '', ADA = '', BOB = '', STAFF = '' } = process.env;
const as = (token: string) => createClient({ auth: token, baseUrl: ADDRESS });
const [ada, bob, staff] = [as(ADA), as(BOB), as(STAFF)];

const main = async (): Promise<void> => {
  const { data: link } = await getMyReferralLink({ client: ada });
  assert.ok(link);
  const { data: upserted } = await upsertUser({ client: bob, body: { referred_by: link.referral_code } });
  assert.equal(upserted?.attribution, 'recorded');

  const { data: reward } = await offerReward({ client: staff, body: { name: 'A hat', cost: 40 } });
  assert.ok(reward);
  const path = { reward_id: reward.reward_id };
  const { error: poor } = await purchaseReward({ client: bob, path });
  assert.equal(poor?.code, 'INSUFFICIENT_FUNDS');
  if (poor.code === 'INSUFFICIENT_FUNDS') {
    const facts: [number, number] = [poor.balance, poor.cost];
    assert.deepEqual(facts, [0, 40]);
  }

  const grant = { user_id: 'bob', amount: 100, reason: 'welcome', event_key: 'welcome-bob' };
  const headers = { 'Idempotency-Key': 'grant-1' };
  const first = await grantCredits({ client: staff, body: grant, headers });
  const again = await grantCredits({ client: staff, body: grant, headers });
  assert.deepEqual(again.data, first.data);
  assert.equal(again.response?.headers.get('idempotency-hit'), 'true');

  const { data: purchase } = await purchaseReward({ client: bob, path, body: {} });
  assert.equal(purchase?.balance_after, 60);
  const orders = [{ user_id: 'bob', reward_id: reward.reward_id }];
  const { data: outcomes } = await purchaseRewards({ client: staff, body: { orders } });
  const outcome = outcomes?.results[0];
  assert.equal(outcome?.outcome === 'refused' ? outcome.code : '', 'ALREADY_COLLECTED');
};

void main().then(() => console.log('the flow is complete'));
