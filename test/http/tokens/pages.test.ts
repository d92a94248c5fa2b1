import { expect, test } from "vitest";
import { startTestServer } from "../../support/servers.ts";

const TOKEN = "administrator's token";
const ORIGIN = "https://app.example";

test("a page of any origin uses its token, and reads answers and refusals", async () => {
  const server = await startTestServer({ kind: "fake", options: { token: TOKEN } });
  const actorId = await server.client({ token: TOKEN }).vm.getOrCreate("a").resolve();
  const { token } = await server
    .client({ token: TOKEN })
    .tokens.create({ vms: "a", may: ["exec", "read", "admin"] });
  for (const [method, path, body, presented, status] of [
    ["POST", `/gateway/${actorId}/action/exec`, '{"args":["echo hi"]}', token, 200],
    ["POST", `/gateway/${actorId}/action/exec`, '{"args":["echo hi"]}', `${token}x`, 401],
    ["GET", "/vms?name=vm", undefined, token, 200],
    ["POST", "/tokens/list", "[]", token, 200],
    ["POST", "/tokens/list", "[]", "wrong", 401],
    ["POST", "/tokens/revoke", '["x"]', token, 404],
  ] as const) {
    const names = "content-type,x-rivet-token";
    const preflight = await fetch(server.endpoint + path, {
      method: "OPTIONS",
      headers: {
        origin: ORIGIN,
        "access-control-request-method": method,
        "access-control-request-headers": names,
      },
    });
    expect(preflight.ok, path).toBe(true);
    expect(preflight.headers.get("access-control-allow-methods"), path).toContain(method);
    expect(preflight.headers.get("access-control-allow-headers")?.toLowerCase(), path).toContain(
      "x-rivet-token",
    );
    const response = await fetch(server.endpoint + path, {
      method,
      headers: { origin: ORIGIN, "content-type": "application/json", "x-rivet-token": presented },
      ...(body !== undefined && { body }),
    });
    expect([path, response.status]).toEqual([path, status]);
    expect(response.headers.get("access-control-allow-origin")).toBe(ORIGIN);
  }
});
