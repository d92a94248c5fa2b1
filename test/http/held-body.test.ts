// @module-tag attack
import { expect, test } from "vitest";
import { startTestServer } from "../support/servers.ts";

test("a body of many pieces reaches an action and a route, however long the decision about the request takes", async () => {
  const gate = Promise.withResolvers<void>();
  const options = {
    async authorize() {
      await gate.promise;
      return { identity: null, vms: { prefix: "" }, may: ["admin" as const] };
    },
  };
  const server = await startTestServer({ kind: "fake", options });
  const { vm, tokens } = server.client();
  const content = new Uint8Array(5 * 1024 * 1024).fill(7);
  const written = vm.getOrCreate("a").writeFile("/x", content);
  const keys = Array.from({ length: 100 }, (_, n) => ["k".repeat(1000), String(n)]);
  const refused = tokens.create({ vms: keys, may: ["read"] }).catch((error: Error) => error.message);
  setImmediate(gate.resolve);
  await written;
  expect(await vm.getOrCreate("a").readFile("/x")).toHaveLength(content.length);
  expect(await refused).toContain("MAX_TOKEN_BYTES");
});
