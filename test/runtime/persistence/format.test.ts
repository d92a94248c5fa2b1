import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { expect, onTestFinished, test, vi } from "vitest";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import expected from "../../fixtures/storage-v1/expected.json" with { type: "json" };
import { LISTING, OPTIONS } from "../../fixtures/storage-v1/listing.ts";
import format3 from "../../fixtures/storage-v3/expected.json" with { type: "json" };
import { durableVm } from "../../support/durable-vm.ts";
import { faultsOfStoredTrees } from "../../support/stored-trees.ts";

const storedByVersion1 = () => storedBy("storage-v1");

/** The store of a server with an old format. make.ts beside it has made it. */
async function storedBy(fixture: string): Promise<MemoryStore> {
  const file = readFileSync(new URL(`../../fixtures/${fixture}/records.json.gz`, import.meta.url));
  const records = JSON.parse(gunzipSync(file).toString()) as [key: string, base64: string][];
  const store = new MemoryStore();
  for (const [key, value] of records) await store.put([[key, Buffer.from(value, "base64")]]);
  return store;
}

test("a VM stored in format 1 wakes with its files, journal, history and jobs", async () => {
  const machine = durableVm(OPTIONS, await storedByVersion1());
  expect((await machine.vm().exec(LISTING)).stdout).toBe(expected.after);
  expect((await machine.vm().exec("/workspace/run; stat -c %h /workspace/two")).stdout).toBe("ran\n2\n");
  expect(await machine.vm().listSnapshots()).toEqual([expected.snapshot]);
  expect((await machine.vm().listProcesses()).filter(({ args }) => args.includes("exit 7"))).toEqual(
    expected.processes.map((process: object) => ({ ...process, oomKills: 0, waitingForInput: false })),
  );
  expect(await machine.vm().listCronJobs()).toEqual(expected.cron.jobs);
  expect(await machine.vm().listCronRuns()).toEqual(expected.cron.runs);
});

test("new checkpoints share content of format 1, its snapshot can be restored, and nothing is left over", async () => {
  const store = await storedByVersion1();
  const machine = durableVm(OPTIONS, store);
  await machine.vm().checkpoint();
  expect(await faultsOfStoredTrees(store)).toEqual([]);
  await machine.sleep();
  expect((await machine.vm().exec(LISTING)).stdout).toBe(expected.after);
  await machine.vm().restoreSnapshot(expected.snapshot.id);
  // A FIFO is not stored.
  const before = expected.before.replace(/^p .* fifo \n/m, "");
  expect((await machine.vm().exec(LISTING)).stdout).toBe(before);
  await machine.vm().deleteSnapshot(expected.snapshot.id);
  await machine.sleep();
  expect(await faultsOfStoredTrees(store)).toEqual([]);
});

test("a preview of format 1 opens until it expires", async () => {
  const { token, expiresAt } = expected.preview;
  vi.useFakeTimers({ toFake: ["Date"], now: expiresAt - 60_000 });
  onTestFinished(() => void vi.useRealTimers());
  const machine = durableVm({ runtime: "memory" }, await storedByVersion1());
  expect(await machine.vm().listPreviews()).toMatchObject([{ port: 8080, expiresAt }]);
  await machine.vm().expireSignedPreviewUrl(token);
  expect(await machine.vm().listPreviews()).toEqual([]);
  vi.setSystemTime(expiresAt + 1);
  const late = durableVm({ runtime: "memory" }, await storedByVersion1());
  expect(await late.vm().listPreviews()).toEqual([]);
});

test("a VM stored in format 3 wakes with its files", async () => {
  const machine = durableVm({}, await storedBy("storage-v3"));
  const { stdout } = await machine.vm().exec("sha256sum plain squeezed", { cwd: "/workspace" });
  expect(stdout).toBe(format3.sums);
});

test("a VM stored in format 2 wakes with the holes of its files", async () => {
  const machine = durableVm({}, await storedBy("storage-v2"));
  const line = "stat -c '%n %s' *; head -c 4 both; tail -c 3 both; du -sk . | cut -f 1";
  const { stdout } = await machine.vm().exec(line, { cwd: "/workspace" });
  const lines = stdout.split("\n");
  expect(lines.slice(0, 3)).toEqual(["both 10485763", "endless 109951162777600", "plain 1"]);
  expect(lines[3]).toMatch(/^dataend\d{1,3}$/);
});
