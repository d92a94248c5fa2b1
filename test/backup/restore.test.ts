import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { backUp } from "../../src/backup/backup.ts";
import { restore } from "../../src/backup/restore.ts";
import { openDataFolder, readDataMark } from "../../src/rivet/data-format.ts";
import { programEnv } from "../support/program-env.ts";
import { AGENT_VM_PROGRAM } from "../support/server-process.ts";
import { startTestServer } from "../support/servers.ts";
import { temporaryFolder, testFolder } from "../support/temporary-folder.ts";

const folder = temporaryFolder();
const dataDir = join(folder, "data");
const backup = join(folder, "backup");
const onProgress = () => undefined;
const asRestored = (path: string) => readdirSync(path).filter((name) => name !== "server.lock");

/** Outcome of a restore into the folder of the running server. */
let inUse: unknown;

beforeAll(async () => {
  const server = await startTestServer({ kind: "memory", process: true, dataDir });
  const vm = server.client().vm.getOrCreate("one");
  for (let n = 0; n < 4; n++) await vm.writeFile(`/workspace/${n}`, randomBytes(4 * 1024 * 1024));
  await server.client().vm.getOrCreate("two").writeFile("/workspace/a", "a");
  await backUp({ dataDir, target: backup, hasTokens: true, onProgress });
  inUse = await restore({ backup, dataDir, onProgress }).catch((error: unknown) => error);
  await server.stop("SIGTERM");
});

function fileOf(part: "state" | "databases"): string {
  return join(part, readdirSync(join(backup, part))[0] ?? "");
}

/** Copies the backup, changes the copy, and restores it into a new folder. */
async function restored(change: (copy: string) => void) {
  const made = testFolder();
  const copy = join(made, "backup");
  cpSync(backup, copy, { recursive: true });
  change(copy);
  const target = join(made, "data");
  const outcome = await restore({ backup: copy, dataDir: target, onProgress }).catch(
    (error: unknown) => error,
  );
  const left = readdirSync(made).includes("data") ? asRestored(target) : [];
  return { outcome, left };
}

function changeManifest(copy: string, change: object): void {
  const path = join(copy, "manifest.json");
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), ...change }));
}

function changeByte(path: string): void {
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
  writeFileSync(path, bytes);
}

function becomeFolder(path: string): void {
  rmSync(path);
  mkdirSync(path);
}

test.each<[string, (copy: string) => void, RegExp]>([
  [
    "a changed byte",
    (copy) => changeByte(join(copy, fileOf("databases"))),
    /databases\/\w+\.db of .* is damaged/,
  ],
  [
    "a file cut short",
    (copy) => truncateSync(join(copy, fileOf("state")), 10),
    /state\/\w+ of .* is damaged/,
  ],
  ["a missing file", (copy) => rmSync(join(copy, fileOf("state"))), /lacks its file state\/\w+$/],
  ["a folder for a file", (copy) => becomeFolder(join(copy, "vms.db")), /vms\.db of .* is damaged/],
  ["no manifest", (copy) => rmSync(join(copy, "manifest.json")), /is not a whole backup: it has no manifest/],
  [
    "half a manifest",
    (copy) => truncateSync(join(copy, "manifest.json"), 300),
    /The manifest of .* is damaged/,
  ],
  ["a VM too few", (copy) => changeManifest(copy, { vms: 3 }), /The manifest of .* is damaged/],
  [
    "a path outside",
    (copy) => changeManifest(copy, { files: [{ path: "../x", size: 0, sha256: "" }] }),
    /manifest/,
  ],
])("refuses a backup with %s, and restores nothing", async (_name, change, message) => {
  const { outcome, left } = await restored(change);
  expect(outcome).toMatchObject({ code: "invalid_backup", message: expect.stringMatching(message) });
  expect(left).toEqual([]);
});

test.each([
  ["backup", { format: 2, agentVm: "9.9.9", files: "unknown" }, 2, 1],
  ["data", { dataFormat: 3, agentVm: "9.9.9" }, 3, 2],
] as const)("refuses a newer %s with both versions", async (what, change, format, supported) => {
  const { outcome, left } = await restored((copy) => changeManifest(copy, change));
  const text = `The ${what} .*has format ${format}, written by agent-vm 9\\.9\\.9\\. This is agent-vm 0\\.1\\.0, which reads formats up to ${supported}$`;
  expect(outcome).toMatchObject({ code: "storage_too_new", message: expect.stringMatching(text) });
  expect(left).toEqual([]);
});

test("refuses the folder of a running server", () => {
  expect(inUse).toMatchObject({
    code: "data_in_use",
    message: expect.stringContaining(`The data folder ${dataDir} is in use by another server: process`),
  });
});

test("refuses a folder with content, which stays", async () => {
  const target = testFolder();
  writeFileSync(join(target, "notes"), "mine");
  await expect(restore({ backup, dataDir: target, onProgress })).rejects.toMatchObject({
    code: "invalid_argument",
    message: `The data folder ${target} is not empty: it has notes. Move its content away, or restore into another folder with --data`,
  });
  expect(asRestored(target)).toEqual(["notes"]);
});

test("servers refuse the folder of a restore that was killed, and the next restore completes it", async () => {
  const target = testFolder();
  // A restore may end before the signal reaches it.
  while (readDataMark(target)?.isRestoring !== true) {
    for (const name of readdirSync(target)) rmSync(join(target, name), { recursive: true });
    await killRestore(target);
  }
  expect(() => openDataFolder(target)).toThrow(expect.objectContaining({ code: "restore_unfinished" }));
  await restore({ backup, dataDir: target, onProgress });
  openDataFolder(target);
  expect(asRestored(target).sort()).toEqual(
    ["alarms", "databases", "format.json", "state", "tokens.db", "tokens.secret", "vms.db"].sort(),
  );
});

async function killRestore(target: string): Promise<void> {
  const child = spawn(process.execPath, [AGENT_VM_PROGRAM, "restore", backup, "--data", target], {
    env: programEnv(),
    stdio: "ignore",
  });
  const ended = once(child, "close");
  while (readDataMark(target) === undefined && child.exitCode === null) await delay(1);
  child.kill("SIGKILL");
  await ended;
}
