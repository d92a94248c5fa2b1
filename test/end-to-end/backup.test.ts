// @module-tag slow
import { existsSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { VmHandle } from "../../src/client/types.ts";
import { runBackup, runRestore } from "../support/backups.ts";
import { startTestServer } from "../support/servers.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const folder = temporaryFolder();
const SERVER = { kind: "memory", process: true, env: { AGENT_VM_TOKEN: "all" } } as const;
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const numberIn = async (vm: VmHandle, path: string) => Number(text(await vm.readFile(path)));

/** Writes rising numbers into `/workspace/first`, and then into `/workspace/second`. */
function startWriter(vm: VmHandle) {
  const writer = { written: 0, isStopped: false };
  const ended = (async () => {
    for (let n = 1; !writer.isStopped; n++) {
      await vm.writeFile("/workspace/first", `${n}`);
      await vm.writeFile("/workspace/second", `${n}`);
      writer.written = n;
    }
  })();
  const stop = async () => {
    writer.isStopped = true;
    await ended;
  };
  return Object.assign(writer, { stop });
}

function modes(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true }).map((entry) => {
    const { mode } = lstatSync(join(entry.parentPath, entry.name));
    return `${entry.isDirectory() ? "folder" : "file"} ${(mode & 0o777).toString(8)}`;
  });
}

test("a backup of a running server, restored elsewhere, has every write from before it, the list and the tokens", async () => {
  const server = await startTestServer({ ...SERVER });
  const client = server.client({ token: "all" });
  const kept = client.vm.getOrCreate("kept");
  await kept.writeFile("/workspace/a", "kept");
  await kept.setLabels({ team: "blue" });
  const gone = client.vm.getOrCreate("gone");
  await gone.writeFile("/workspace/a", "gone");
  await gone.destroy();
  const { token } = await client.tokens.create({ vms: "kept", may: ["read"] });
  const busy = client.vm.getOrCreate("busy");
  const writer = startWriter(busy);
  await expect.poll(() => writer.written).toBeGreaterThan(5);

  const before = writer.written;
  const backup = join(folder, "backup");
  const end = await runBackup(server.dataDir, backup, "--json");
  const after = writer.written;
  await writer.stop();
  expect(end).toMatchObject({ code: 0 });
  expect(JSON.parse(end.stdout)).toMatchObject({ backup, vms: 2, unchanged: 0, tokens: true, leftOut: [] });
  expect(after).toBeGreaterThan(before);
  expect(new Set(modes(backup))).toEqual(new Set(["folder 700", "file 600"]));
  expect(existsSync(`${backup}.unfinished`)).toBe(false);

  const dataDir = join(folder, "restored");
  expect(await runRestore(backup, dataDir)).toMatchObject({ code: 0 });
  expect(new Set(modes(dataDir))).toEqual(new Set(["folder 700", "file 600"]));
  const copy = await startTestServer({ ...SERVER, dataDir });
  const restored = copy.client({ token: "all" });
  const { vms } = await restored.vm.list();
  expect(vms.map(({ key, labels }) => ({ key, labels }))).toEqual([
    { key: ["busy"], labels: {} },
    { key: ["kept"], labels: { team: "blue" } },
  ]);
  expect(text(await copy.client({ token }).vm.getOrCreate("kept").readFile("/workspace/a"))).toBe("kept");
  const [first, second] = [
    await numberIn(restored.vm.getOrCreate("busy"), "/workspace/first"),
    await numberIn(restored.vm.getOrCreate("busy"), "/workspace/second"),
  ];
  expect(second).toBeGreaterThanOrEqual(before);
  expect([second, second + 1]).toContain(first);
  expect(await restored.vm.getOrCreate("gone").exists("/workspace/a")).toBe(false);
});
