import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { terminal } from "../../src/client/index.ts";
import { sharedServer, startTestServer } from "../support/servers.ts";
import { testFolder } from "../support/temporary-folder.ts";
import { failure } from "../support/until.ts";

const shared = sharedServer();

/** Files of a VM's actor in the data folder. */
function filesOf(actorId: string): string[] {
  return ["state", "databases", "alarms"].flatMap((name) => {
    const folder = join(shared().dataDir, name);
    return existsSync(folder) ? readdirSync(folder).filter((file) => file.startsWith(actorId)) : [];
  });
}

test("destroy deletes everything of a VM, and its key is free at once", async () => {
  const server = shared();
  const client = server.client();
  const vm = client.vm.getOrCreate("everything");
  await vm.writeFile("/workspace/secret", "x");
  await vm.createSnapshot("one");
  await vm.scheduleCron({ schedule: "@daily", action: { type: "exec", command: "true" } });
  const { url } = await vm.createSignedPreviewUrl(8080);
  await vm.spawn("sleep", ["1000"]);
  const actorId = await vm.resolve();
  expect(filesOf(actorId)).not.toEqual([]);

  await vm.destroy();
  expect(await failure(client.vm.get("everything").exists("/"))).toMatchObject({ code: "actor_not_found" });
  const again = await client.vm.create("everything");
  expect(await again.exists("/workspace/secret")).toBe(false);
  expect(await again.listSnapshots()).toEqual([]);
  expect(await again.listCronJobs()).toEqual([]);
  expect((await fetch(url)).status).toBe(403);
  await again.destroy();
  await expect.poll(() => filesOf(actorId)).toEqual([]);
  expect((await client.vm.list({ prefix: "everything" })).vms).toEqual([]);
});

test("a connection to a destroyed VM ends with vm_destroyed and does not make the VM again", async () => {
  const server = shared();
  const watcher = server.client().vm.getOrCreate("connection").connect();
  const ended: string[] = [];
  watcher.onError(({ code }) => ended.push(code));
  const reasons: string[] = [];
  watcher.on("vmShutdown", ({ reason }) => reasons.push(reason));
  await watcher.exec("true");
  const running = watcher.exec("sleep 1000").then(
    ({ reason }) => reason,
    (error) => error.code,
  );
  const client = server.client();
  const conn = client.vm.getOrCreate("connection").connect();
  await conn.exec("true");

  await conn.destroy();
  expect(["vm_stopped", "vm_destroyed"]).toContain(await running);
  await expect.poll(() => ended).toEqual(["vm_destroyed"]);
  expect(reasons).toEqual(["destroy"]);
  await expect.poll(async () => (await client.vm.list({ prefix: "connection" })).vms).toEqual([]);
  expect(watcher.connStatus).toBe("idle");
});

test("a server that was killed while it destroyed a VM deletes the VM when it starts again", {
  tags: ["slow"],
}, async () => {
  const data = testFolder();
  const first = await startTestServer({ kind: "kernel", process: true, dataDir: data });
  const vm = first.client().vm.getOrCreate("a");
  await vm.writeFile("/workspace/secret", "x");
  const actorId = await vm.resolve();
  await first.stop("SIGKILL");
  // The state between the first and the last step of destroy().
  const index = new DatabaseSync(join(data, "vms.db"));
  index.prepare("UPDATE vms SET destroying = 1 WHERE actor_id = ?").run(actorId);
  index.close();
  const second = await startTestServer({ kind: "kernel", process: true, dataDir: data });
  expect((await second.client().vm.list()).vms).toEqual([]);
  expect(await second.client().vm.getOrCreate("a").exists("/workspace/secret")).toBe(false);
});

test("the first call after destroy makes a new VM, on the same client and on another", async () => {
  const server = shared();
  const vm = server.client().vm.getOrCreate("destroyed call");
  const other = server.client().vm.getOrCreate("destroyed call");
  for (const call of [
    () => vm.exec("echo new"),
    () => other.exec("echo new"),
    async () => ({ stdout: (await vm.exists("/workspace/old")) ? "old\n" : "new\n" }),
  ]) {
    await vm.exec("true");
    await other.writeFile("/workspace/old", "old");
    await vm.destroy();
    expect((await call()).stdout).toBe("new\n");
  }
  expect(await failure(server.client().vm.getForId("0123456789abcdef").exec("id"))).toMatchObject({
    code: "actor_not_found",
  });
});

test("what is left of a destroyed VM's connection and terminal makes no new VM", async () => {
  const server = shared();
  const client = server.client();
  const vm = client.vm.getOrCreate("left");
  const shell = await terminal(vm);
  const connection = vm.connect();
  await connection.exec("true");
  await vm.destroy();
  const destroyed = { code: "vm_destroyed" };
  await shell.exited.catch((error) => expect(error).toMatchObject(destroyed));
  await shell.close();
  expect(await failure(shell.write("x"))).toMatchObject(destroyed);
  expect(await failure(connection.exec("true"))).toMatchObject(destroyed);
  expect((await client.vm.list({ prefix: "left" })).vms).toEqual([]);
});
