// @module-tag slow
import { expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import { terminal } from "../../src/client/open-terminal.ts";
import type { registry } from "../../src/server.ts";
import { startTestServer } from "../support/servers.ts";
import { until } from "../support/until.ts";

test("follows a VM whose server has restarted: vmRestarted, one call_lost, terminals and watches go on", async () => {
  const first = await startTestServer({ kind: "kernel", process: true });
  await using client = createClient<typeof registry>({ endpoint: first.endpoint });
  const connection = client.vm.getOrCreate("followed").connect();
  const told: string[] = [];
  for (const name of ["vmRestarted", "vmBooted"] as const) connection.on(name, () => told.push(name));
  const changed: string[] = [];
  connection.on("fileChanged", ({ type, path }) => changed.push(`${type} ${path}`));
  await connection.watchFiles("/workspace");
  let screen = "";
  const reopened: object[] = [];
  const shell = await terminal(connection, {
    onData: (data) => {
      screen += new TextDecoder().decode(data);
    },
    onReopen: (opened) => reopened.push(opened),
  });
  const firstId = shell.shellId;
  await shell.write("echo fir''st\n");
  await until(() => screen.includes("first"));
  const program = await terminal(connection, { command: "sleep", args: ["1000"] });
  const programEnd = program.exited.catch((error: { code: string }) => error.code);
  const running = connection.exec("sleep 1000").catch((error: { code: string }) => error.code);
  await connection.writeFile("/workspace/before", "");
  told.length = 0;

  first.process.kill("SIGKILL");
  await first.exited;
  const { port, dataDir } = first;
  await startTestServer({ kind: "kernel", process: true, port, dataDir });
  expect(await running).toBe("call_lost");
  await connection.writeFile("/workspace/after", "");
  expect(told).toEqual(["vmRestarted", "vmBooted"]);
  // A watch goes on, and says that it may have missed changes.
  await until(() => changed.includes("overflow /workspace"));
  await connection.exec("touch /workspace/later");
  await until(() => changed.includes("created /workspace/later"));
  await shell.resize(100, 30);
  await shell.write("stty size; echo sec''ond\n");
  await until(() => /30 100[\s\S]*second/.test(screen));
  expect(reopened).toEqual([{ shellId: shell.shellId, pid: shell.pid }]);
  expect(shell.shellId).not.toBe(firstId);
  expect(await programEnd).toBe("shell_not_found");
  await shell.close();
  expect(await shell.exited).toBeTypeOf("number");
});
