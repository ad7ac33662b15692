// The ways of docs/old-frontends.md, run by tests/integration/test_old_frontends.py against a project of its own.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createClient } from '@supabase/supabase-js';

const { ADDRESS: TALLYSTICK_URL, PROJECT: SUPABASE_URL, ANONYMOUS: SUPABASE_KEY, PROXY, ADA } = process.env;
const asked = [];
const project = createServer((request, response) => {
  asked.push(request.url);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(request.url === '/auth/v1/user' ? { id: 'ada' } : 'of the project'));
});
await new Promise((resolve) => project.listen(new URL(SUPABASE_URL).port, '127.0.0.1', resolve));

// The page

const isUsers = async (client) => assert.equal((await client.rpc('assign_referral_code')).error?.message, undefined);
const isNobodys = async (client) =>
  assert.equal((await client.rpc('assign_referral_code')).error.message, 'UNAUTHENTICATED');
const elsewhere = async (client) => {
  assert.equal((await client.rpc('another_function')).data, 'of the project');
  assert.deepEqual(asked.splice(0), ['/rest/v1/rpc/another_function']);
};

await isNobodys(supabase);
await isNobodys(tallystick);
const { error } = await supabase.auth.setSession({ access_token: ADA, refresh_token: 'unused' });
assert.equal(error, null);
assert.deepEqual(asked.splice(0), ['/auth/v1/user']);

await isUsers(supabase);
await elsewhere(supabase);
console.log('a fetch of the client');
await isUsers(tallystick);
assert.deepEqual(asked, []);
console.log('a second client');
await isUsers(createClient(PROXY, SUPABASE_KEY, { accessToken: async () => ADA }));
await isNobodys(createClient(PROXY, SUPABASE_KEY, { auth: { persistSession: false } }));
await elsewhere(createClient(PROXY, SUPABASE_KEY, { accessToken: async () => ADA }));
console.log('a proxy by path');
process.exit(0);
