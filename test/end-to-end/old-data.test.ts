// @module-tag slow
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { ActorFiles } from "../../src/rivet/actor-files.ts";
import { startTestServer } from "../support/servers.ts";
import { temporaryFolder, testFolder } from "../support/temporary-folder.ts";

const dataDir = temporaryFolder();
const start = (folder = dataDir) =>
  startTestServer({ kind: "memory", process: true, dataDir: folder, mayExit: true });
const markOf = () => JSON.parse(readFileSync(join(dataDir, "format.json"), "utf8"));
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Prefix of the keys of an actor's own storage in its database. */
const OWN_KEY = Buffer.from([4]);

/** Puts records into the database of the folder's only VM, whose server is down. */
function storeRecords(records: readonly (readonly [key: string, value: Buffer])[]): void {
  const [actorId] = new ActorFiles(dataDir).ids();
  const db = new DatabaseSync(join(dataDir, "databases", `${actorId}.db`));
  // The table of format 1 of a data folder.
  db.exec("DROP INDEX kv_file");
  for (const column of ["file", "start", "size"]) db.exec(`ALTER TABLE kv DROP COLUMN ${column}`);
  const put = db.prepare("INSERT OR REPLACE INTO kv (key, value) VALUES (?, ?)");
  for (const [key, value] of records) put.run(Buffer.concat([OWN_KEY, Buffer.from(key)]), value);
  db.close();
}

test("a folder of the first version opens with its list and its files, and gets its mark", async () => {
  const first = await start();
  await first.client().vm.getOrCreate("old").exists("/workspace");
  await first.stop("SIGTERM");
  // The first version had no mark, no index of VMs, and format 1 of a VM's files.
  for (const name of ["format.json", "vms.db"]) rmSync(join(dataDir, name));
  const file = readFileSync(new URL("../fixtures/storage-v1/records.json.gz", import.meta.url));
  const records = JSON.parse(gunzipSync(file).toString()) as [key: string, base64: string][];
  storeRecords(records.map(([key, value]) => [key, Buffer.from(value, "base64")]));

  const second = await start();
  const client = second.client();
  expect((await client.vm.list()).vms).toMatchObject([{ key: ["old"], state: "sleeping" }]);
  expect(text(await client.vm.getOrCreate("old").readFile("/workspace/journal/moved"))).toBe("written\n");
  expect(markOf()).toEqual({ format: 2, agentVm: "0.1.0" });
});

test("a folder of a newer format is refused in one line, and nothing in it changes", async () => {
  const mark = JSON.stringify({ format: 3, agentVm: "9.9.9", other: [] });
  const newer = testFolder();
  writeFileSync(join(newer, "format.json"), mark);
  const server = await start(newer);
  expect(await server.exited).toBe(1);
  expect(server.stderr().split("\n")).toEqual([
    `agent-vm: The data folder ${newer} has format 3, written by agent-vm 9.9.9. This is agent-vm 0.1.0, which reads formats up to 2. Run the newer version of the server again. The data is unchanged.`,
    "",
  ]);
  expect(readdirSync(newer).sort()).toEqual(["format.json", "server.lock"]);
  expect(readFileSync(join(newer, "format.json"), "utf8")).toBe(mark);
});
