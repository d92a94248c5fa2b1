// @module-tag attack
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import net, { type AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { BytePool, ByteShare } from "../../../../src/base/byte-share.ts";
import { fetchPort } from "../../../../src/runtime/network/requests/fetch.ts";
import { VmAgent } from "../../../../src/runtime/network/requests/http-agent.ts";
import { until } from "../../../support/until.ts";

/** A server that begins answers as the path says, and ends them when the test does. */
async function startServer() {
  const open: ServerResponse[] = [];
  const server = createServer((request, response) => {
    response.write(Buffer.alloc(Number(request.url?.slice(1)), "x"));
    request.resume().on("end", () => open.push(response));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const connect = async (to: number) => net.connect(to, "127.0.0.1");
  const agent = new VmAgent(connect);
  onTestFinished(() => agent.destroy());
  const memory = new ByteShare({ most: 100_000, small: 10_000, pool: new BytePool(1_000_000) });
  const deps = { agent, connect, maxBodyBytes: 90_000, memory, speaksTls: async () => false, signals: [] };
  const { port } = server.address() as AddressInfo;
  const fetch = (path: string, options = {}) => fetchPort(port, path, options, deps);
  return { open, memory, fetch };
}

test("requests whose answers are under way share the memory of their VM", async () => {
  const { open, memory, fetch } = await startServer();
  const first = fetch("/1", { method: "POST", body: new Uint8Array(60_000) });
  await until(() => open.length === 1);
  await expect(fetch("/1", { method: "POST", body: new Uint8Array(60_000) })).rejects.toMatchObject({
    code: "limit_exceeded",
    metadata: { limit: "MAX_FETCHES_BYTES" },
  });
  const second = fetch("/30000");
  await until(() => memory.bytes > 90_000);
  await expect(fetch("/30000")).rejects.toMatchObject({ code: "limit_exceeded" });
  for (const response of open.splice(0)) response.end();
  expect([(await first).status, (await second).body.byteLength]).toEqual([200, 30_000]);
  expect(memory.bytes).toBe(0);
});
