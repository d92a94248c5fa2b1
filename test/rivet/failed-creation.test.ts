import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { actorIdOf } from "../../src/rivet/kv-storage.ts";
import { startTestServer } from "../support/servers.ts";
import { dataFolder } from "../support/temporary-folder.ts";
import { failure } from "../support/until.ts";

test("a VM whose database cannot be made is not in the list, and can be made later", async () => {
  const dataDir = dataFolder();
  const server = await startTestServer({ kind: "fake", options: { dataDir } });
  const vms = server.client().vm;
  await vms.getOrCreate("first").exec("echo makes the folders");
  const inTheWay = join(dataDir, "databases", `${actorIdOf("vm", ["second"])}.db`);
  mkdirSync(inTheWay);

  const error = await failure(vms.getOrCreate("second").exec("echo"));
  expect(error).toMatchObject({ code: "storage_failed" });
  expect((await vms.list()).vms.map(({ key }) => key)).toEqual([["first"]]);

  rmdirSync(inTheWay);
  expect((await vms.getOrCreate("second").exec("echo")).exitCode).toBe(0);
  expect((await vms.list()).vms).toHaveLength(2);
});
