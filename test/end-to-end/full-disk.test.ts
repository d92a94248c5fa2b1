// @module-tag slow
import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { startTestServer } from "../support/servers.ts";
import { fillDisk, smallDisk } from "../support/small-disk.ts";
import { failure, until } from "../support/until.ts";

test("a full disk is server_full for a new VM and storage_failed for a file, and VMs go on when there is room again", async ({
  skip,
}) => {
  const dataDir = smallDisk(skip, "4m");
  const server = await startTestServer({ kind: "kernel", process: true, dataDir });
  onTestFinished(() => server.stop("SIGTERM").then(() => undefined));
  const { vm } = server.client();
  const old = vm.getOrCreate("old");
  await old.writeFile("/workspace/kept", "kept");

  const ready = async () => (await fetch(`${server.endpoint}/health/ready`)).status;
  expect(await ready()).toBe(200);

  const filler = join(dataDir, "filler");
  fillDisk(filler);
  const made = vm.getOrCreate("new");
  const metadata = { hint: expect.stringContaining("disk") };
  const refused = { code: "server_full", metadata };
  expect(await failure(made.exec("true"))).toMatchObject(refused);
  expect(await failure(vm.create("newer"))).toMatchObject(refused);
  const failed = { code: "storage_failed", metadata };
  expect(await failure(old.writeFile("/workspace/other", new Uint8Array(65_536)))).toMatchObject(failed);
  expect((await old.exec("cat /workspace/kept")).stdout).toBe("kept");

  // The answer of a check counts for 5 s.
  await until(async () => (await ready()) === 503);

  rmSync(filler);
  await until(async () => (await ready()) === 200);
  expect((await made.exec("echo works")).stdout).toBe("works\n");
  expect((await (await vm.create("newer")).exec("echo works")).stdout).toBe("works\n");
  await old.writeFile("/workspace/other", "other");
});
