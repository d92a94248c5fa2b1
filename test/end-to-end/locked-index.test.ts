import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { createLogger } from "../../src/http/logger.ts";
import { startTestServer } from "../support/servers.ts";
import { testFolder } from "../support/temporary-folder.ts";

test("a VM that falls asleep while another process has locked the index is destroyed in its time", async () => {
  const dataDir = testFolder();
  const log: string[] = [];
  const { client } = await startTestServer({
    kind: "kernel",
    options: { dataDir, logger: createLogger("warn", { write: (line) => void log.push(line) }) },
    vm: { runtime: "memory", sleepTimeoutMs: 300, destroyAfterMs: 500 },
  });
  const { vm } = client();
  await vm.getOrCreate("a").writeFile("/workspace/a", "a");
  const index = new DatabaseSync(join(dataDir, "vms.db"));
  const row = () => index.prepare("SELECT awake FROM vms").get();
  index.exec("BEGIN IMMEDIATE");
  await expect.poll(() => log.join("")).toContain("database is locked");
  expect((await vm.list()).vms).toMatchObject([{ state: "sleeping" }]);
  expect(row()).toEqual({ awake: 1 });
  index.exec("COMMIT");
  await expect.poll(row).toBeUndefined();
  index.close();
});
