// @module-tag any-user
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { vmOptionsSchema } from "../../../../../src/runtime/options.ts";
import { createSandboxFactory } from "../../../../../src/runtime/sandbox/factory.ts";
import type { SandboxNetwork } from "../../../../../src/runtime/sandbox/network.ts";
import { openDescriptors, ownDescendants } from "../../../../support/host.ts";
import { failure } from "../../../../support/until.ts";
import { startVm } from "../../../../support/vm.ts";
import { startHttpServer, textOf } from "../../../../support/vm-servers.ts";

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    // The process has just ended.
    return "";
  }
}

/** Lists the host pids of this process's connectors. */
function connectors(): number[] {
  return ownDescendants().filter((pid) => readProc(pid, "cmdline").includes("agentos-connector"));
}

test("a connector starts with the first program, which may want to go out, and not before", async () => {
  const { vm } = startVm();
  await vm.writeFile("/tmp/x", "x");
  await vm.listPorts();
  expect(connectors()).toEqual([]);
  const pid = await startHttpServer(vm, 3000);
  await expect.poll(connectors).toHaveLength(1);
  expect((await vm.vmFetch(3000, "/")).status).toBe(200);
  expect(connectors()).toHaveLength(1);
  await vm.killProcess(pid);
});

test("a connector is replaced after it was killed, and open connections survive", async () => {
  const { vm } = startVm();
  await startHttpServer(vm, 3000);
  const slow = vm.vmFetch(3000, "/slow");
  await expect.poll(connectors).toHaveLength(1);
  await vm.vmFetch(3000, "/");
  for (const pid of connectors()) process.kill(pid, "SIGKILL");
  await vm.vmFetch(3000, "/go", { method: "POST" });
  expect(textOf(await slow)).toBe("firstsecond");
});

/**
 * Traces every process of its pid namespace that the kernel lets it trace, prints their number, and waits. PTRACE_SEIZE
 * does not stop a process. Its own child shows that tracing works in the VM.
 */
const TRACER = `
  my ($call, $child) = (${process.arch === "x64" ? 101 : 117}, fork // die);
  if ($child == 0) { sleep 1000; exit }
  my @pids = map { m{(\\d+)$} } glob "/proc/[0-9]*";
  my @traced = grep { $_ != $$ && syscall($call, 0x4206, $_ + 0, 0, 0) == 0 } @pids;
  syswrite(STDOUT, (grep { $_ == $child } @traced) ? "traces\\n" : "cannot trace\\n");
  sleep 1000;`;

test("a connector cannot be seen, signalled or traced from inside", async () => {
  const { vm } = startVm();
  await startHttpServer(vm, 3000);
  await vm.vmFetch(3000, "/");
  const look = "cat /proc/[0-9]*/cmdline | tr '\\0' ' '";
  // The process of the HTTP server gets its command line a moment after its start.
  await expect.poll(async () => (await vm.exec(look)).stdout).toContain("server.cjs");
  const tracer = await vm.spawn("perl", ["-e", TRACER]);
  const output = async () =>
    (await vm.readProcessOutput(tracer.pid)).chunks.map(({ data }) => textOf({ body: data }));
  await expect.poll(async () => (await output()).join("")).toBe("traces\n");
  const [pid = 0] = connectors();
  expect(readProc(pid, "status")).toMatch(/^TracerPid:\t0$/m);
  const { stdout } = await vm.exec(`${look}; kill -9 -1`);
  expect(stdout).not.toMatch(/agentos-connector/);
  await expect.poll(connectors).toHaveLength(1);
});

test("a connector has no privileges, and is of the VM's user and group", async () => {
  const { vm } = startVm();
  const marked = String(300_000 + process.pid);
  await vm.spawn("sleep", [marked]);
  await startHttpServer(vm, 3000);
  await vm.vmFetch(3000, "/");
  await expect.poll(connectors).toHaveLength(1);
  const status = readFileSync(`/proc/${connectors()[0]}/status`, "utf8");
  for (const set of ["CapInh", "CapPrm", "CapEff", "CapAmb"]) {
    expect(status).toMatch(new RegExp(`^${set}:\\t0+$`, "m"));
  }
  expect(status).toMatch(/^NoNewPrivs:\t1$/m);
  const command = ownDescendants().find((pid) => readProc(pid, "cmdline") === `sleep\0${marked}\0`) as number;
  expect(idsIn(status)).toEqual(idsIn(readProc(command, "status")));
});

/** Returns the lines of a process's users and groups, as the host sees them. */
const idsIn = (status: string) => status.match(/^(Uid|Gid|Groups):.*$/gm);

test("a connector makes a hundred concurrent connections, and dispose() frees everything", {
  tags: ["slow"],
}, async () => {
  const cycle = async () => {
    const { vm } = startVm();
    await startHttpServer(vm, 3000);
    const all = await Promise.all(Array.from({ length: 100 }, () => vm.vmFetch(3000, "/")));
    expect(all.every(({ status }) => status === 200)).toBe(true);
    await vm.dispose("destroy");
  };
  await cycle();
  await expect.poll(ownDescendants).toEqual([]);
  const before = openDescriptors().length;
  await cycle();
  await expect.poll(ownDescendants).toEqual([]);
  // The last descriptors of the first cycle may close after the count.
  await expect.poll(() => openDescriptors().length).toBeLessThanOrEqual(before);
});

test("a port that never accepts does not delay connections to other ports", async () => {
  const { vm } = startVm();
  await startHttpServer(vm, 3000);
  // The program never accepts, and its backlog has room for one: further connections wait in the kernel.
  await vm.spawn("perl", [
    "-e",
    "use Socket; socket(S,AF_INET,SOCK_STREAM,0); bind(S,sockaddr_in(3500,INADDR_LOOPBACK)); listen(S,0); sleep 1000",
  ]);
  await vm.waitForPort(3500);
  const stuck = Array.from({ length: 20 }, () =>
    vm.vmFetch(3500, "/", { timeoutMs: 2_000 }).catch(() => "gone"),
  );
  for (let count = 0; count < 20; count++) {
    expect((await vm.vmFetch(3000, "/", { method: "POST" })).status).toBe(200);
  }
  expect(await Promise.all(stuck)).toEqual(stuck.map(() => "gone"));
});

test("the VM has its own loopback", async () => {
  const { vm } = startVm();
  const { stdout } = await vm.exec("cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '");
  expect(stdout).toBe("lo\n");
  expect(readdirSync("/proc/self/ns")).toContain("net");
});

test("a connector that stands still is ended, and the next request has another", {
  tags: ["slow"],
}, async () => {
  const factory = createSandboxFactory(vmOptionsSchema.parse({}));
  const sandbox = await factory.boot(new AbortController().signal);
  const network = sandbox.network as SandboxNetwork;
  (await network.listen(0)).close();
  const [pid = 0] = connectors();
  process.kill(pid, "SIGSTOP");
  expect(await failure(network.listen(0))).toMatchObject({ code: "network_failed" });
  (await network.listen(0)).close();
  await sandbox.dispose();
});
