import { readlinkSync } from "node:fs";
import { afterEach, expect, test, vi } from "vitest";
import { deferred } from "../../src/base/deferred.ts";
import { diskSyncs, inTurn, syncFolder, VALUE_SYNCS } from "../../src/rivet/disk-turns.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** Work with the disk at the same time. */
const THREADS = 3;

const folder = temporaryFolder();

afterEach(() => {
  vi.restoreAllMocks();
});

/** Takes all threads until `release`. */
function taken() {
  const gate = deferred<void>();
  const ended = Array.from({ length: THREADS }, () => inTurn(() => gate.promise));
  return {
    async release() {
      gate.resolve();
      await Promise.all(ended);
    },
  };
}

test("callers that wait for the sync of one folder share it, and a later caller has another", async () => {
  const begun = deferred<void>();
  const gate = deferred<void>();
  const real = diskSyncs.all;
  const synced: string[] = [];
  vi.spyOn(diskSyncs, "all").mockImplementation(async (fd) => {
    synced.push(readlinkSync(`/proc/self/fd/${fd}`));
    begun.resolve();
    await gate.promise;
    await real(fd);
  });
  const threads = taken();
  const first = [syncFolder(folder), syncFolder(folder)];
  await threads.release();
  await begun.promise;
  const later = syncFolder(folder);
  gate.resolve();
  await Promise.all([...first, later]);
  expect(synced).toEqual([folder, folder]);
});

test("a failed sync of a folder fails all callers that share it, and no later caller", async () => {
  vi.spyOn(diskSyncs, "all").mockRejectedValueOnce(new Error("EIO"));
  const threads = taken();
  const first = Promise.allSettled([syncFolder(folder), syncFolder(folder)]);
  await threads.release();
  expect((await first).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  await syncFolder(folder);
});

test("the sync of a folder for a log does not wait for the turn of values that sync the same folder", async () => {
  const gate = deferred<void>();
  const values = [gate.promise, gate.promise].map((work) => inTurn(() => work, VALUE_SYNCS));
  const forValue = syncFolder(folder, VALUE_SYNCS);
  await syncFolder(folder);
  gate.resolve();
  await Promise.all([...values, forValue]);
});
