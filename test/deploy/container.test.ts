// @module-tag slow
import { spawnSync } from "node:child_process";
import { expect, onTestFinished, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { freePort } from "../support/free-port.ts";
import { DATA_FOLDER, makeBundle, ociRuntime } from "../support/oci.ts";
import { startServerProcess } from "../support/server-process.ts";

const RUNTIME = ociRuntime();
const NO_RUNTIME = "needs root, and runc or crun (apt-get install runc)";

test("the doctor finds no failure in a container with the seccomp profile", (context) => {
  if (RUNTIME === undefined) return context.skip(NO_RUNTIME);
  const [program = "", ...args] = makeBundle(RUNTIME).command({}, "doctor");
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  expect(stderr).toBe("");
  expect(stdout).toMatch(/ok {4}user of VMs +the server's own: the server is not root/);
  expect(stdout).toMatch(/ok {4}process limit +limits\.processes holds/);
  expect(stdout).toMatch(/ok {4}shared folders +VMs reach no socket/);
  expect(stdout).toMatch(/ok {4}a VM +booted/);
  expect(status).toBe(0);
});

test.for([
  ["under the host's users", false],
  ["in a user namespace, as in Kubernetes", true],
] as const)("a server in a container runs VMs %s", async ([, ownUsers], context) => {
  if (RUNTIME === undefined) return context.skip(NO_RUNTIME);
  const port = await freePort();
  const env = { PORT: String(port), AGENT_VM_TOKEN: "t0ken", AGENT_VM_DATA: DATA_FOLDER };
  const command = makeBundle(RUNTIME, { ownUsers }).command(env, "serve");
  const server = await startServerProcess({ port, command });
  onTestFinished(async () => void (await server.stop("SIGTERM")));
  expect(server.stdout()).toContain("seccomp filter");
  const client = createClient<typeof registry>({ endpoint: server.endpoint, token: "t0ken" });
  onTestFinished(() => client.dispose());
  const vm = client.vm.getOrCreate("one").connect();

  const { stdout } = await vm.exec(
    "id --user; grep -E 'CapEff|Seccomp:' /proc/self/status; mount -t tmpfs x /mnt",
  );
  expect(stdout).toBe("1000\nCapEff:\t0000000000000000\nSeccomp:\t2\n");

  await vm.writeFile("/workspace/file", "text");
  await vm.watchFiles("/workspace");
  const changed = new Promise((resolve) => vm.on("fileChanged", resolve));
  expect((await vm.exec("cat /workspace/file; echo more >> /workspace/file")).stdout).toBe("text");
  await changed;

  const { shellId } = await vm.openShell();
  const seen = new Promise<void>((resolve) => {
    let output = "";
    vm.on("shellData", ({ data }) => {
      output += new TextDecoder().decode(data);
      if (output.includes("42")) resolve();
    });
  });
  await vm.writeShell(shellId, "echo $((6 * 7))\n");
  await seen;

  await vm.spawn("node", ["-e", "require('http').createServer((_, r) => r.end('web')).listen(3000)"]);
  await vm.waitForPort(3000);
  const { body } = await vm.vmFetch(3000, "/");
  expect(new TextDecoder().decode(body)).toBe("web");

  await vm.sleep();
  expect((await vm.exec("cat /workspace/file")).stdout).toBe("textmore\n");
  expect(server.stderr()).toBe("");
});
