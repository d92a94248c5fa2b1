// @module-tag slow
import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { type ProgramServer, startTestServer } from "../support/servers.ts";
import { testFolder } from "../support/temporary-folder.ts";
import { until } from "../support/until.ts";

/** Starts a server that is not the ready-made one on a small disk, with VMs that soon fall asleep. @returns it with a file that fills the disk */
async function startOnSmallDisk(
  skip: (note: string) => never,
): Promise<{ server: ProgramServer; filler: string }> {
  const dataDir = testFolder();
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", dataDir]);
  if (mounted.status !== 0) skip("only root may mount a small disk");
  onTestFinished(() => void spawnSync("umount", ["-l", dataDir]));
  const env = { SLEEP_TIMEOUT_MS: "1000" };
  const server = await startTestServer({ kind: "scripted", process: true, dataDir, env });
  return { server, filler: join(dataDir, "filler") };
}

/** Fills the disk to its last page. */
function fill(path: string): void {
  for (const size of [65_536, 4_096]) {
    for (let piece = 0; piece < 4_096; piece++) {
      try {
        writeFileSync(path, new Uint8Array(size), { flag: "a" });
      } catch {
        break;
      }
    }
  }
}

test("an idle VM on a full disk stays awake with its files, and sleeps when there is room again", async ({
  skip,
}) => {
  const { server, filler } = await startOnSmallDisk(skip);
  const { vm } = server.client();
  await vm.getOrCreate("one").exec("true");
  fill(filler);
  await vm.getOrCreate("one").exec("head -c 300000 /dev/urandom > /workspace/kept");
  await until(() => server.stderr().includes("VM stays awake, because its files cannot be stored"));
  expect((await vm.list()).vms).toMatchObject([{ state: "awake" }]);
  rmSync(filler);
  await until(async () => (await vm.list()).vms[0]?.state === "sleeping");
  expect((await vm.getOrCreate("one").exec("wc -c < /workspace/kept")).stdout).toBe("300000\n");
});

test("a VM that could not sleep on a full disk is not put to sleep under a command when there is room again", async ({
  skip,
}) => {
  const { server, filler } = await startOnSmallDisk(skip);
  const { vm } = server.client();
  await vm.getOrCreate("one").exec("true");
  fill(filler);
  await vm.getOrCreate("one").exec("head -c 300000 /dev/urandom > /workspace/kept");
  await until(() => server.stderr().includes("VM stays awake, because its files cannot be stored"));
  const running = vm.getOrCreate("one").exec("touch /tmp/begun; sleep 8; echo done");
  await vm.getOrCreate("one").exec("until [ -e /tmp/begun ]; do sleep 0.01; done");
  rmSync(filler);
  expect(await running).toMatchObject({ stdout: "done\n", reason: "exit" });
  await until(async () => (await vm.list()).vms[0]?.state === "sleeping");
});

test("a server that cannot store files at its end says so and exits with 1", async ({ skip }) => {
  const { server, filler } = await startOnSmallDisk(skip);
  const connection = server.client().vm.getOrCreate("one").connect();
  await connection.exec("true");
  fill(filler);
  await connection.exec("head -c 300000 /dev/urandom > /workspace/lost");
  server.process.kill("SIGTERM");
  expect(await server.exited).toBe(1);
  const line = server
    .stderr()
    .split("\n")
    .find((each) => each.includes("files of the VM since its last checkpoint are lost"));
  expect(JSON.parse(line ?? "null")).toMatchObject({ vm: ["one"], err: { code: "storage_failed" } });
});
