import { expect, test } from "vitest";
import { startKernelServer } from "../support/kernel-server.ts";
import { marked } from "../support/marked.ts";

test.for<NodeJS.Signals>(["SIGTERM", "SIGINT", "SIGKILL"])(
  "%s of the server ends every VM",
  async (signal) => {
    const { server, client } = await startKernelServer();
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
