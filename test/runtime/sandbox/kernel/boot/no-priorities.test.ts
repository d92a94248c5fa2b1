// @module-tag slow
// @module-tag any-user
// @module-tag attack
import { spawnSync } from "node:child_process";
import { expect, onTestFinished, test } from "vitest";
import { createClient } from "../../../../../src/client/index.ts";
import type { registry } from "../../../../../src/server.ts";
import { AGENT_VM_PROGRAM, startServerProcess } from "../../../../support/server-process.ts";

const ALLOWED = ["prlimit", "--rtprio=50", "--nice=40", "--"];
/** Only a host's root with CAP_SYS_RESOURCE can give the right. */
const canAllow = spawnSync("prlimit", [...ALLOWED.slice(1), "true"]).status === 0;

test("programs of a VM have no right to priorities, whatever the server may do", async () => {
  const server = await startServerProcess({
    command: [...(canAllow ? ALLOWED : []), process.execPath, AGENT_VM_PROGRAM, "serve"],
    env: { AGENT_VM_RUNTIME: "kernel" },
  });
  onTestFinished(async () => void (await server.stop("SIGTERM")));
  const client = createClient<typeof registry>({ endpoint: server.endpoint });
  onTestFinished(() => client.dispose());
  const vm = client.vm.getOrCreate("one");
  const { stdout } = await vm.exec(
    "ulimit -e; ulimit -r; ulimit -He; ulimit -Hr; chrt -f 20 true || echo refused",
  );
  expect(stdout).toBe("0\n0\n0\n0\nrefused\n");
});
