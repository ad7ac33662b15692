// The alternative under Node: one stored function for each request, behind Fastify and pg.
// It serves until SIGTERM on a free port, which it prints. PGHOST and the like name the database.

import jwt from "@fastify/jwt";
import Fastify from "fastify";
import pg from "pg";

const STATUS = {
  USER_DELETED: 401,
  REWARD_NOT_FOUND: 404,
  SELF_PURCHASE: 409,
  ALREADY_COLLECTED: 409,
  INSUFFICIENT_FUNDS: 402,
  INVITE_NOT_FOUND: 404,
  INVITE_EXPIRED: 410,
  INVITE_REVOKED: 410,
  INVITE_EXHAUSTED: 409,
  ALREADY_USED: 409,
};

const text = { type: "string" };
const integer = { type: "integer" };
const time = { type: "string", format: "date-time" };
const object = (properties) => ({ type: "object", properties, required: Object.keys(properties) });

const purchaseSchema = {
  params: object({ reward_id: text }),
  response: {
    200: object({ reward_id: text, cost: integer, balance_before: integer, balance_after: integer, collected_at: time }),
  },
};
const redeemSchema = {
  body: object({ code: text }),
  response: { 200: object({ invite_id: text, code: text, redeemed_at: time, remaining: integer }) },
};

pg.types.setTypeParser(pg.types.builtins.INT8, Number);
const pool = new pg.Pool();
const app = Fastify({ logger: false });
await app.register(jwt, { secret: process.env.JWT_SECRET });
app.addHook("onRequest", (request) => request.jwtVerify());

const refuse = (reply, code) => reply.code(STATUS[code]).send({ code });

app.post("/api/rewards/:reward_id/purchase", { schema: purchaseSchema }, async (request, reply) => {
  const { reward_id } = request.params;
  const { rows } = await pool.query({
    name: "purchase",
    text: "SELECT * FROM bench.purchase($1, $2)",
    values: [request.user.sub, reward_id],
  });
  const [{ refusal, ...purchase }] = rows;
  return refusal === null ? { reward_id, ...purchase } : refuse(reply, refusal);
});

app.post("/api/invites/redeem", { schema: redeemSchema }, async (request, reply) => {
  const { code } = request.body;
  const { rows } = await pool.query({
    name: "redeem",
    text: "SELECT * FROM bench.redeem($1, $2)",
    values: [request.user.sub, code],
  });
  const [{ refusal, ...redeemed }] = rows;
  return refusal === null ? { code, ...redeemed } : refuse(reply, refusal);
});

process.on("SIGTERM", () => process.exit(0));
await app.listen({ host: "127.0.0.1", port: 0 });
console.log(`listens on http://127.0.0.1:${app.server.address().port}`);
