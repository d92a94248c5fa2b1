import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type TestServer } from "../support/start-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

/** Runs a script with a client of the server as a program of its own. */
async function script(body: string): Promise<{ output: string; code: number | null; ms: number }> {
  const client = new URL("../../src/client/index.ts", import.meta.url).href;
  const code = `
    import { createClient, terminal } from ${JSON.stringify(client)};
    const client = createClient({ endpoint: ${JSON.stringify(server.endpoint)} });
    const agent = client.vm.getOrCreate("script");
    ${body}
  `;
  const started = performance.now();
  const child = spawn(process.execPath, ["--input-type=module", "-e", code]);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (data) => {
      output += data;
    });
  }
  await once(child, "close");
  return { output, code: child.exitCode, ms: performance.now() - started };
}

test.each<[string, string, string]>([
  ["a short action", 'console.log(await agent.exists("/x"))', "false\n"],
  ["a long one", 'console.log((await agent.exec("echo hi")).stdout)', "hi\n\n"],
  [
    "a disposed connection",
    'const c = agent.connect(); console.log((await c.exec("echo hi")).stdout); await c.dispose()',
    "hi\n\n",
  ],
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
])("a script ends by itself after %s", async (_name, body, output) => {
  const ended = await script(body);
  expect(ended.output).toBe(output);
  expect(ended.code).toBe(0);
  expect(ended.ms).toBeLessThan(20_000);
});
