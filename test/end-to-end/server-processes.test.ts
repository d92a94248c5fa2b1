import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { AGENT_VM_PROGRAM } from "../support/server-process.ts";
import { type ProgramServer, startTestServer } from "../support/servers.ts";

const PIDS = "/sys/fs/cgroup/pids";

/** Starts a server in a cgroup of its own, which counts the processes of its VMs too. */
async function startInCgroup(): Promise<{ server: ProgramServer; leave(processes: number): void }> {
  const group = join(PIDS, `agent-vm-test-${process.pid}`);
  mkdirSync(group);
  onTestFinished(() => rmdirSync(group));
  const enter = ["sh", "-c", `echo $$ > ${group}/cgroup.procs && exec "$@"`, "sh"];
  const server = await startTestServer({
    kind: "kernel",
    process: true,
    command: [...enter, process.execPath, AGENT_VM_PROGRAM, "serve"],
    env: { AGENT_VM_POOL: "0" },
  });
  onTestFinished(async () => void (await server.stop("SIGTERM")));
  const running = () => Number(readFileSync(join(group, "pids.current"), "utf8"));
  return {
    server,
    leave: (processes) => writeFileSync(join(group, "pids.max"), String(running() + processes)),
  };
}

test("a server whose cgroup has no process left refuses VMs and terminals, and goes on", async ({ skip }) => {
  if (process.getuid?.() !== 0 || !existsSync(PIDS)) skip("needs root and cgroups of version 1");
  const { server, leave } = await startInCgroup();
  const { vm } = server.client();
  const awake = vm.getOrCreate("awake");
  await awake.exec("true");
  for (const processes of [0, 1, 2, 3]) {
    leave(processes);
    await expect(awake.openShell()).rejects.toMatchObject({ code: "EAGAIN" });
    await expect(vm.getOrCreate(`new-${processes}`).exec("true")).rejects.toMatchObject({
      code: "server_full",
      metadata: { resource: "processes" },
    });
    if (processes === 0) await expect(awake.exec("true")).rejects.toMatchObject({ code: "EAGAIN" });
    expect(await awake.exists("/workspace")).toBe(true);
  }
  leave(100);
  expect(await awake.openShell()).toMatchObject({ shellId: expect.any(String) });
  expect((await awake.exec("echo on")).stdout).toBe("on\n");
});
