// @module-tag slow
import { expect, test } from "vitest";
import { startTestServer } from "../support/servers.ts";

const MIB = 1024 * 1024;

test("content that a VM deletes leaves the server's data folder", async () => {
  const server = await startTestServer({ kind: "kernel", process: true });
  const client = server.client();
  const vm = client.vm.getOrCreate("a");
  const storedBytes = async () => (await client.vm.list()).vms[0]?.storedBytes ?? 0;
  await vm.exec(`head -c ${40 * MIB} /dev/urandom > /workspace/big`);
  await vm.checkpoint();
  expect(await storedBytes()).toBeGreaterThan(40 * MIB);
  await vm.exec("rm /workspace/big");
  await vm.checkpoint();
  // Each checkpoint writes a little, which lets SQLite fold its log into the file.
  await expect
    .poll(async () => {
      await vm.writeFile("/workspace/small", crypto.getRandomValues(new Uint8Array(65_536)));
      await vm.checkpoint();
      return await storedBytes();
    })
    .toBeLessThan(12 * MIB);
});
