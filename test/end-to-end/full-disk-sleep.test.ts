// @module-tag slow
import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type ProgramServer, startTestServer } from "../support/servers.ts";
import { fillDisk, smallDisk } from "../support/small-disk.ts";
import { until } from "../support/until.ts";

/** Starts a server that is not the ready-made one on a small disk, with VMs that soon fall asleep. @returns it with a file that fills the disk */
async function startOnSmallDisk(
  skip: (note: string) => never,
): Promise<{ server: ProgramServer; filler: string }> {
  const dataDir = smallDisk(skip, "8m");
  const env = { SLEEP_TIMEOUT_MS: "1000" };
  const server = await startTestServer({ kind: "scripted", process: true, dataDir, env });
  return { server, filler: join(dataDir, "filler") };
}

/** Starts such a server with a VM that cannot fall asleep, because the disk is full. */
async function startSleepless(skip: (note: string) => never) {
  const { server, filler } = await startOnSmallDisk(skip);
  const { vm } = server.client();
  const one = vm.getOrCreate("one");
  await one.exec("true");
  fillDisk(filler);
  await one.exec("head -c 300000 /dev/urandom > /workspace/kept");
  await until(() => server.stderr().includes("VM stays awake, because its files cannot be stored"));
  const state = async () => (await vm.list()).vms.map((listed) => listed.state);
  return { one, filler, state };
}

test("an idle VM on a full disk stays awake with its files, and sleeps when there is room again", async ({
  skip,
}) => {
  const { one, filler, state } = await startSleepless(skip);
  expect(await state()).toEqual(["awake"]);
  rmSync(filler);
  await until(async () => (await state())[0] === "sleeping");
  expect((await one.exec("wc -c < /workspace/kept")).stdout).toBe("300000\n");
});

test("a VM that could not sleep on a full disk is not put to sleep under a command when there is room again", async ({
  skip,
}) => {
  const { one, filler, state } = await startSleepless(skip);
  const running = one.exec("touch /tmp/begun; sleep 8; echo done");
  await one.exec("until [ -e /tmp/begun ]; do sleep 0.01; done");
  rmSync(filler);
  expect(await running).toMatchObject({ stdout: "done\n", reason: "exit" });
  await until(async () => (await state())[0] === "sleeping");
});

test("a server that cannot store files at its end says so and exits with 1", async ({ skip }) => {
  const { server, filler } = await startOnSmallDisk(skip);
  const connection = server.client().vm.getOrCreate("one").connect();
  await connection.exec("true");
  fillDisk(filler);
  await connection.exec("head -c 300000 /dev/urandom > /workspace/lost");
  server.process.kill("SIGTERM");
  expect(await server.exited).toBe(1);
  const line = server
    .stderr()
    .split("\n")
    .find((each) => each.includes("files of the VM since its last checkpoint are lost"));
  expect(JSON.parse(line ?? "null")).toMatchObject({ vm: ["one"], err: { code: "storage_failed" } });
});
