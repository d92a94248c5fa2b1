import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { startTestServer } from "../support/servers.ts";
import { dataFolder } from "../support/temporary-folder.ts";

const PAGE_BYTES = 4096;

test("a server that replaces a damaged index says so in its log, and deletes a half-deleted VM", async () => {
  const dataDir = dataFolder();
  const first = await startTestServer({ kind: "memory", process: true, dataDir });
  const { vm } = first.client();
  for (const key of ["a", "b"]) await vm.create(key, { input: { labels: { team: key } } });
  await first.stop("SIGTERM");
  const path = join(dataDir, "vms.db");
  const index = new DatabaseSync(path);
  index.exec(`UPDATE vms SET destroying = 1 WHERE key = '["a"]'; PRAGMA wal_checkpoint(TRUNCATE)`);
  const root = index.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'vms_by_key'").get();
  index.close();
  const end = Number(root?.rootpage) * PAGE_BYTES;
  writeFileSync(path, readFileSync(path).fill("x", end - PAGE_BYTES, end));
  const second = await startTestServer({ kind: "memory", process: true, dataDir });
  const logged = () =>
    (second.stdout() + second.stderr()).split("\n").filter((line) => line.includes("index of VMs"));
  await expect.poll(logged).toEqual([expect.stringMatching(/vms\.db\.damaged-\d+.*nothing/)]);
  const { vms } = await second.client().vm.list();
  expect(vms).toMatchObject([{ key: ["b"], labels: { team: "b" } }]);
});
