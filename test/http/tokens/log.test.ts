import { expect, test, vi } from "vitest";
import { createLogger } from "../../../src/http/logger.ts";
import { startTestServer } from "../../support/servers.ts";
import { failure } from "../../support/until.ts";

const TOKEN = "administrators-token";

test("the log shows no token at any level, wherever a request carries it", async () => {
  vi.stubEnv("AGENT_VM_RIVETKIT_LOG_LEVEL", "trace");
  const lines: string[] = [];
  const logger = createLogger("trace", { write: (line) => void lines.push(line) });
  const server = await startTestServer({ kind: "fake", options: { token: TOKEN, logger } });
  const { tokens, vm } = server.client({ token: TOKEN });
  const actorId = await vm.getOrCreate("a").resolve();
  const { token } = await tokens.create({ vms: "a", may: ["exec"] });
  const connection = server.client({ token }).vm.get("a").connect();
  await connection.exec("echo hi");
  await connection.dispose();
  for (const each of [token, TOKEN, `${token}x`]) {
    const params = JSON.stringify({ token: each });
    for (const [segment, headers] of [
      [`${actorId}@${each}`, {}],
      [actorId, { "x-rivet-token": each }],
      [actorId, { authorization: `Bearer ${each}` }],
      [actorId, { "x-rivet-conn-params": params }],
    ] as const) {
      const body = '{"args":["echo hi"]}';
      await fetch(`${server.endpoint}/gateway/${segment}/action/exec`, { method: "POST", headers, body });
    }
    const other = server.client({}).vm.get("a", { params: { token: each } });
    await failure(other.connect().exists("/x"));
  }
  const log = lines.join("");
  expect(lines.length).toBeGreaterThan(50);
  for (const secret of [token, token.split(".")[2]!, TOKEN]) expect(log).not.toContain(secret);
});
