// @module-tag slow
import { expect, onTestFinished, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { isRoot } from "../support/host.ts";
import { AGENT_VM_PROGRAM, startServerProcess } from "../support/server-process.ts";

const FEW_CAPABILITIES = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-all", "--"];

test.runIf(isRoot)("a root server without CAP_SYS_ADMIN runs VMs, and its banner says how", async () => {
  const server = await startServerProcess({
    command: [...FEW_CAPABILITIES, process.execPath, AGENT_VM_PROGRAM, "serve"],
    env: { AGENT_VM_RUNTIME: "kernel" },
  });
  onTestFinished(async () => void (await server.stop("SIGTERM")));
  expect(server.stdout()).toContain("VMs run as the server's own user (root lacks CAP_SYS_ADMIN)");
  const client = createClient<typeof registry>({ endpoint: server.endpoint });
  onTestFinished(() => client.dispose());
  const vm = client.vm.getOrCreate("one");
  const { stdout } = await vm.exec("id --user; grep CapEff /proc/self/status; echo text > file; cat file");
  expect(stdout).toBe("1000\nCapEff:\t0000000000000000\ntext\n");
  expect(new TextDecoder().decode(await vm.readFile("/home/agentos/file"))).toBe("text\n");
});
