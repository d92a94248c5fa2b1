import { createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { OutboundGate } from "../../../../src/runtime/network/outbound/gate.ts";
import { NetworkLog } from "../../../../src/runtime/network/outbound/log.ts";

test("a program that leaves during the lookup of a name opens no connection to the outside", async () => {
  const arrived: unknown[] = [];
  const server = createServer((socket) => void arrived.push(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const { promise: answer, resolve: reply } = Promise.withResolvers<string[]>();
  const log = new NetworkLog(
    () => undefined,
    () => undefined,
  );
  const gate = new OutboundGate({ allow: ["slow.test", `127.0.0.1:${port}`] }, log, {
    resolve() {
      ask();
      return answer;
    },
  });
  const program = new AbortController();
  const opening = gate.open({ host: "slow.test", port }, program.signal);
  await asked;
  program.abort();
  reply(["127.0.0.1"]);
  await expect(opening).rejects.toThrow();
  // A connection that the server has made before arrives before this one.
  const own = await gate.open({ host: "127.0.0.1", port }, new AbortController().signal);
  await expect.poll(() => arrived.length).toBe(1);
  own.destroy();
});
