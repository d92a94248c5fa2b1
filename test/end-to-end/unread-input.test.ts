// @module-tag slow
// @module-tag attack
import { expect, test } from "vitest";
import { startTestServer } from "../support/servers.ts";
import { until } from "../support/until.ts";

const INPUT_BYTES = 25_000_000;
const CALLS = 24;

/** Growth of the server in MiB: 32 MiB of unread input, a message that arrives, and garbage. All input would be 572 MiB. */
const GROWTH_MIB = 320;

test("input of commands that run on costs the server a bounded memory, whether or not they read it", async () => {
  const server = await startTestServer({ kind: "kernel", process: true });
  const vm = server.client().vm.getOrCreate("unread");
  await vm.exec("cat", { stdin: "warm" });
  const before = server.residentMib();
  const stdin = new Uint8Array(INPUT_BYTES);
  const calls: Promise<unknown>[] = [];
  let started = 0;
  for (let index = 0; index < CALLS; index++) {
    const reads = index % 2 === 0 ? "" : "cat > /dev/null; ";
    calls.push(vm.exec(`${reads}touch /tmp/${index}; exec sleep 600`, { stdin }));
    started += 1;
    await until(async () => (await vm.readdir("/tmp")).filter((name) => /^\d/.test(name)).length === started);
  }
  expect(server.residentMib() - before).toBeLessThan(GROWTH_MIB);
  await vm.exec("pkill sleep");
  expect(await Promise.all(calls)).toEqual(calls.map(() => expect.objectContaining({ reason: "signal" })));
  // A thread frees the inputs.
  await until(async () => Number((await vm.exec("df --output=used -B1 / | tail -1")).stdout) < 8_000_000);
});
