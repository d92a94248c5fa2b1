import { expect } from "vitest";
import { marked } from "../support/marked.ts";
import { testRows } from "../support/rows.ts";
import { startTestServer } from "../support/servers.ts";

testRows<[NodeJS.Signals]>([["SIGKILL"], ["SIGTERM"], ["SIGINT"]], 1)(
  "%s of the server ends every VM",
  async (signal) => {
    const server = await startTestServer({ kind: "kernel", process: true });
    const client = server.client();
    const mark = String(200_000 + (server.process.pid ?? 0));
    const conns = ["one", "two", "three"].map((key) => client.vm.getOrCreate(key).connect());
    await Promise.all(conns.map((conn) => conn.spawn("sleep", [mark])));
    await conns[0]?.exec(`setsid -f env -i sleep ${mark}`);
    await conns[1]?.openShell({ command: "sleep", args: [mark] });
    await expect.poll(() => marked(mark).length).toBeGreaterThanOrEqual(5);
    server.process.kill(signal);
    expect(await server.exited).toBe(signal === "SIGKILL" ? "SIGKILL" : 0);
    await expect.poll(() => marked(mark)).toEqual([]);
  },
);
