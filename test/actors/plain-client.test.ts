import { createClient } from "rivetkit/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type FakeServer, startTestServer } from "../support/servers.ts";
import { failure, until } from "../support/until.ts";

let server: FakeServer;
beforeAll(async () => {
  server = await startTestServer({ kind: "fake" });
});
afterAll(() => server.stop());

const plain = (encoding: "bare" | "cbor" | "json" = "bare") =>
  createClient<FakeServer["registry"]>({ endpoint: server.endpoint, encoding });

test.each(["bare", "cbor", "json"] as const)(
  "RivetKit's own client works with encoding %s",
  async (encoding) => {
    const client = plain(encoding);
    const agent = client.vm.getOrCreate(`plain-${encoding}`);
    expect((await agent.exec("echo hi")).stdout).toBe("hi\n");
    const data = Uint8Array.from({ length: 1000 }, (_, index) => index % 256);
    await agent.writeFile("/data", data);
    expect(new Uint8Array(await agent.readFile("/data"))).toEqual(data);
    expect(await failure(agent.readFile("/missing"))).toMatchObject({ code: "ENOENT" });

    const connection = agent.connect();
    const events: unknown[] = [];
    connection.on("shellData", (event) => events.push([event.shellId, new TextDecoder().decode(event.data)]));
    connection.on("shellExit", (event) => events.push(event));
    await connection.openShell();
    await connection.writeShell("shell-1", "exit\n");
    await until(() => events.length === 3);
    expect(events).toEqual([["shell-1", "$ "], ["shell-1", "exit\n"], { shellId: "shell-1", exitCode: 0 }]);
    await client.dispose();
  },
);

test("RivetKit's own client transfers a file below 31 MiB in one piece", { tags: ["slow"] }, async () => {
  const client = plain();
  const agent = client.vm.getOrCreate("plain-large");
  const data = new Uint8Array(30 * 1024 * 1024).fill(7);
  await agent.writeFile("/data", data);
  expect((await agent.readFile("/data")).byteLength).toBe(data.byteLength);
  const connection = agent.connect();
  await connection.writeFile("/again", data);
  expect((await connection.readFile("/again")).byteLength).toBe(data.byteLength);
  await client.dispose();
});
