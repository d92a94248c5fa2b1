// @module-tag any-user
import { expect, test } from "vitest";
import { AGENT_VM_PROGRAM } from "../support/server-process.ts";
import { startTestServer } from "../support/servers.ts";
import { failure } from "../support/until.ts";

const full = {
  code: "server_full",
  metadata: { resource: "descriptors", hint: expect.stringContaining("ulimit") },
};

test("a server with few descriptors refuses further VMs, and the awake ones go on", async () => {
  const command = ["prlimit", "--nofile=300:300", process.execPath, AGENT_VM_PROGRAM, "serve"];
  const server = await startTestServer({ kind: "kernel", process: true, command });
  const { vm } = server.client();
  const sleeper = vm.getOrCreate("sleeper");
  await sleeper.writeFile("/workspace/x", "kept");
  await sleeper.sleep();

  const awake: (typeof sleeper)[] = [];
  let refused: unknown;
  while (refused === undefined && awake.length < 20) {
    const next = vm.getOrCreate(`vm-${awake.length}`);
    try {
      await next.exec("true");
      awake.push(next);
    } catch (error) {
      refused = error;
    }
  }
  expect(refused).toMatchObject(full);
  expect(awake.length).toBeGreaterThanOrEqual(4);
  expect(await failure(vm.getOrCreate("another").exec("true"))).toMatchObject(full);
  expect(await failure(sleeper.readFile("/workspace/x"))).toMatchObject(full);

  // Each awake VM starts a shell, processes and commands at once, and keeps its files.
  await Promise.all(
    awake.map(async (each) => {
      await each.openShell({});
      await each.spawn("sleep", ["1000"]);
      await each.writeFile("/workspace/x", "written");
      expect((await each.exec("cat /workspace/x")).stdout).toBe("written");
    }),
  );
  const shown = (await vm.list()).vms.map(({ key }) => key.join("/"));
  expect(shown).not.toContain("another");

  await Promise.all(awake.slice(0, 3).map((each) => each.sleep()));
  const read = async () => new TextDecoder().decode(await sleeper.readFile("/workspace/x"));
  await expect.poll(() => read().catch(String)).toBe("kept");
});
