import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, expect } from "vitest";
import { testRows } from "../support/rows.ts";
import { type FakeServer, startTestServer } from "../support/servers.ts";

let server: FakeServer;
beforeAll(async () => {
  server = await startTestServer({ kind: "fake" });
});
afterAll(() => server.stop());

/** Runs a script with a client of the server as a program of its own. A script that does not end times the test out. */
async function script(body: string): Promise<{ output: string; code: number | null }> {
  const client = new URL("../../src/client/index.ts", import.meta.url).href;
  const code = `
    import { createClient, terminal } from ${JSON.stringify(client)};
    const client = createClient({ endpoint: ${JSON.stringify(server.endpoint)} });
    const agent = client.vm.getOrCreate("script");
    ${body}
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code]);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (data) => {
      output += data;
    });
  }
  await once(child, "close");
  return { output, code: child.exitCode };
}

testRows<[string, string, string]>(
  [
    [
      "a disposed connection",
      'const c = agent.connect(); console.log((await c.exec("echo hi")).stdout); await c.dispose()',
      "hi\n\n",
    ],
    ["a short action", 'console.log(await agent.exists("/x"))', "false\n"],
    ["a long one", 'console.log((await agent.exec("echo hi")).stdout)', "hi\n\n"],
    [
      "a terminal that has ended",
      'const t = await terminal(agent); await t.write("exit\\n"); console.log(await t.exited)',
      "0\n",
    ],
    [
      "a disposed client",
      'agent.connect(); await agent.exec("echo"); await client.dispose(); console.log("end")',
      "end\n",
    ],
  ],
  1,
)("a script ends by itself after %s", async (_name, body, output) => {
  const ended = await script(body);
  expect(ended.output).toBe(output);
  expect(ended.code).toBe(0);
});
