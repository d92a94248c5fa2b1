import { afterAll, beforeAll, expect, test } from "vitest";
import { type FakeServer, startTestServer } from "../support/servers.ts";
import { failure } from "../support/until.ts";

let server: FakeServer;
beforeAll(async () => {
  server = await startTestServer({ kind: "fake" });
});
afterAll(() => server.stop());

test("an id without a VM fails alike over HTTP and over a connection, with a hint that fits an id", async () => {
  const vm = server.client().vm.getForId("zzz");
  const connection = vm.connect();
  const calls = [
    () => vm.exec("true"),
    () => vm.readFile("/x"),
    () => vm.stat("/x"),
    () => connection.stat("/x"),
  ];
  for (const call of calls) {
    const error = await failure(call());
    expect(error).toMatchObject({ code: "actor_not_found", message: "VM not found: zzz" });
    expect(error).toMatchObject({ metadata: { actorId: "zzz", hint: expect.stringContaining("list()") } });
  }
  await connection.dispose();
});

test("a missing key keeps the hint to make a VM", async () => {
  const error = await failure(server.client().vm.get("missing").exec("true"));
  expect(error).toMatchObject({ code: "actor_not_found" });
  expect(error).toMatchObject({ metadata: { hint: expect.stringContaining("getOrCreate()") } });
});
