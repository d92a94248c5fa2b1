import { expect, test } from "vitest";
import type { AuditEvent } from "../../../src/monitoring/audit.ts";
import { startTestServer } from "../../support/servers.ts";
import { failure } from "../../support/until.ts";

const TOKEN = "t0ken";

test("the audit has a line for each request about tokens, also for refused ones, and no token", async () => {
  const events: AuditEvent[] = [];
  const audit = { onEvent: (event: AuditEvent) => void events.push(event), details: true };
  const server = await startTestServer({ kind: "fake", options: { token: TOKEN, audit } });
  const { tokens } = server.client({ token: TOKEN });
  const made = await tokens.create({ vms: "a", may: ["exec"], label: "s3cr3t" });
  const own = server.client({ token: made.token }).tokens;
  expect(await failure(own.create({ vms: "a", may: ["exec"] }))).toMatchObject({ code: "forbidden" });
  await failure(tokens.create({ vms: "a", may: [] }));
  const renewed = await tokens.renew(made.id);
  await tokens.list();
  await tokens.revoke(made.id);
  await failure(tokens.revoke(made.id));
  const administrator = { kind: "server" };
  const { id } = made;
  const details = { vms: { keys: [["a"]] }, may: ["exec"], expiresIn: 3600 };
  expect(events).toMatchObject([
    { who: administrator, method: "tokens.create", outcome: "ok", token: id, details },
    { who: { kind: "token", tokenId: id }, method: "tokens.create", outcome: "forbidden", details },
    { who: administrator, method: "tokens.create", outcome: "invalid_argument", details: {} },
    { who: administrator, method: "tokens.renew", outcome: "ok", token: id },
    { who: administrator, method: "tokens.list", outcome: "ok" },
    { who: administrator, method: "tokens.revoke", outcome: "ok", token: id },
    { who: administrator, method: "tokens.revoke", outcome: "token_not_found", token: id },
  ]);
  for (const secret of [TOKEN, made.token, renewed.token, "s3cr3t"])
    expect(JSON.stringify(events)).not.toContain(secret);
});

test("the audit counts requests about tokens without access, a line a second for each outcome", async () => {
  const events: AuditEvent[] = [];
  const audit = (event: AuditEvent) => void events.push(event);
  const server = await startTestServer({ kind: "fake", options: { token: TOKEN, audit } });
  const { tokens } = server.client({ token: "wrong" });
  await Promise.all(Array.from({ length: 20 }, () => failure(tokens.create({ vms: "a", may: ["exec"] }))));
  const stranger = { who: { kind: "stranger" }, method: "tokens.create", outcome: "unauthorized" };
  await expect.poll(() => events.reduce((total, { count = 0 }) => total + count, 0)).toBe(20);
  expect(events.length).toBeLessThan(20);
  expect(events.every((event) => event.vm === undefined)).toBe(true);
  for (const event of events) expect(event).toMatchObject(stranger);
});
