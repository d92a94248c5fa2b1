// @module-tag any-user
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { type ServerProcess, sharedServer, startTestServer } from "../support/servers.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { failure } from "../support/until.ts";

const readyMade = sharedServer();
const dataDir = temporaryFolder();
const folder = temporaryFolder();
const servers: ServerProcess[] = [];
afterAll(() => Promise.all(servers.map((server) => server.stop())));

async function start() {
  const server = await startTestServer({ kind: "kernel", process: true, dataDir });
  servers.push(server);
  const client = createClient<typeof registry>({ endpoint: server.endpoint });
  return { server, client, vm: client.vm.getOrCreate("mounts") };
}

/** Starts a server in this process whose VMs have a folder of the host. */
async function startWithFolder() {
  const project = join(folder, "project");
  mkdirSync(project);
  writeFileSync(join(project, "note"), "note");
  const options = { dataDir: join(folder, "data") };
  const server = await startTestServer({
    kind: "kernel",
    options,
    vm: {
      mounts: [{ path: "/mnt/project", plugin: { id: "host_dir", config: { hostPath: project } } }],
      volumes: [{ name: "shared" }],
    },
  });
  return { client: server.client(), options };
}

test("mounts are there again after a SIGKILL of the server", { tags: ["slow"] }, async () => {
  const first = await start();
  await first.vm.mountFs({
    path: "/mnt/scratch",
    plugin: { id: "memory", config: { sizeBytes: 1024 * 1024 } },
  });
  await first.vm.exec("echo x > /mnt/scratch/file");
  first.server.process.kill("SIGKILL");
  await first.server.exited;
  await first.client.dispose();

  const { vm, client } = await start();
  expect(await vm.listMounts()).toMatchObject([{ path: "/mnt/scratch", kind: "memory", error: null }]);
  expect((await vm.exec("grep -c ' /mnt/scratch ' /proc/mounts; ls /mnt/scratch")).stdout).toBe("1\n");
  await vm.fork("copy");
  expect(await client.vm.get("copy").listMounts()).toEqual([]);
  await client.dispose();
});

test("the ready-made server mounts no folder of the host", async () => {
  const mount = { path: "/mnt/etc", plugin: { id: "host_dir" as const, config: { hostPath: "/etc" } } };
  const vm = readyMade().client().vm.getOrCreate("mounts of the host");
  expect(await failure(vm.mountFs(mount))).toMatchObject({ code: "mount_forbidden" });
});

test("VMs of a server share a volume of its data folder, and a destroyed VM leaves it", async () => {
  const { client, options } = await startWithFolder();
  const [one, two] = [client.vm.getOrCreate("one"), client.vm.getOrCreate("two")];
  for (const vm of [one, two])
    await vm.mountFs({ path: "/mnt/volume", plugin: { id: "volume", config: { name: "shared" } } });
  await one.writeFile("/mnt/volume/file", "of one");
  await one.destroy();
  expect((await two.exec("cat /mnt/volume/file; cat /mnt/project/note")).stdout).toBe("of onenote");
  expect(readFileSync(join(options.dataDir, "volumes/shared/file"), "utf8")).toBe("of one");
});
