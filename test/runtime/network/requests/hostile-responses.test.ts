// @module-tag attack
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { BytePool, ByteShare } from "../../../../src/base/byte-share.ts";
import { fetchPort } from "../../../../src/runtime/network/requests/fetch.ts";
import { VmAgent } from "../../../../src/runtime/network/requests/http-agent.ts";
import { HOSTILE_RESPONSES, startHostileServer } from "../../../support/hostile-responses.ts";

test("a hostile answer to vmFetch never becomes the answer to the next request", async () => {
  const port = await startHostileServer();
  const connect = async (to: number) => net.connect(to, "127.0.0.1");
  const agent = new VmAgent(connect);
  onTestFinished(() => agent.destroy());
  const memory = new ByteShare({ most: 1e7, small: 1e7, pool: new BytePool(1e7) });
  const deps = { agent, connect, maxBodyBytes: 1e6, memory, speaksTls: async () => false, signals: [] };
  for (let index = 0; index < HOSTILE_RESPONSES; index += 1) {
    // Some answers end only with their connection.
    await fetchPort(port, `/${index}`, { timeoutMs: 200 }, deps).catch((error: { code: string }) =>
      expect(error.code).toMatch(/^fetch_(failed|timeout)$/),
    );
    const { body, headers } = await fetchPort(port, "/plain", {}, deps);
    expect([index, Buffer.from(body).toString()]).toEqual([index, "plain"]);
    expect(headers).toEqual([["content-length", "5"]]);
  }
});
