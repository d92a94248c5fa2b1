// Shares folders of this machine with VMs: `npm run example examples/mounts.ts`.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { disposeAll, listen, setup, vmActor } from "agent-vm";
import { createClient } from "agent-vm/client";

const dataDir = mkdtempSync(join(tmpdir(), "agent-vm-mounts-"));
process.once("exit", () => rmSync(dataDir, { recursive: true, force: true }));
const project = join(dataDir, "project");
mkdirSync(project);
writeFileSync(join(project, "note"), "from this machine\n");

const registry = setup({
  use: { vm: vmActor({ hostFolders: [{ path: project, writable: true }], volumes: [{ name: "cache" }] }) },
  port: Number(process.env.PORT ?? 6421),
  dataDir: join(dataDir, "data"),
});
const server = await listen(registry);
const client = createClient<typeof registry>({ endpoint: server.endpoint });
const [one, two] = [client.vm.getOrCreate("one"), client.vm.getOrCreate("two")];

// A folder of this machine, live on both sides
const hostPath = project;
await one.mountFs({
  path: "/mnt/project",
  plugin: { id: "host_dir", config: { hostPath } },
  readOnly: false,
});
console.log((await one.exec("cat note; echo from the VM >> note", { cwd: "/mnt/project" })).stdout.trim());
console.log(readFileSync(join(project, "note"), "utf8").trim());

// The same folder as a base: the VM keeps its changes to itself
await two.mountFs({ path: "/mnt/project", plugin: { id: "overlay", config: { hostPath } } });
const { id } = await two.createSnapshot();
await two.exec("rm note; echo new > file", { cwd: "/mnt/project" });
console.log((await two.diff(id)).map(({ path, change }) => `${change} ${path}`).sort());

// A volume that both VMs share, and that outlives them
for (const vm of [one, two]) {
  await vm.mountFs({ path: "/mnt/cache", plugin: { id: "volume", config: { name: "cache" } } });
}
await one.writeFile("/mnt/cache/key", "shared");
await one.destroy();
console.log((await two.exec("cat /mnt/cache/key")).stdout);

await client.dispose();
await server.close();
await disposeAll("destroy");
// RivetKit's timers would keep the process running
process.exit();
