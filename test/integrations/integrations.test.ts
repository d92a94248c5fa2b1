// @module-tag slow
import { globSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { checkTypes, INTEGRATIONS, installFrameworks, runSuite } from "./install.ts";

const INSTALL_TIMEOUT_MS = 300_000;
/** eve builds an application, with all other suites beside it. */
const SUITE_TIMEOUT_MS = 900_000;

let server: ServerProcess;
beforeAll(async () => {
  await installFrameworks();
  const port = await freePort();
  // The conformance suite of MCP sends requests as a page of the server's own origin, which a server refuses by default.
  const env = { AGENT_VM_RUNTIME: "kernel", AGENT_VM_ALLOWED_ORIGINS: `http://127.0.0.1:${port}` };
  server = await startServerProcess({ port, env });
}, INSTALL_TIMEOUT_MS);
afterAll(async () => void (await server?.stop("SIGTERM")));

const SUITES = globSync("*.ts", { cwd: join(INTEGRATIONS, "suites") }).sort();

test.concurrent.each(SUITES)(
  "VMs work with the frameworks of %s",
  { timeout: SUITE_TIMEOUT_MS },
  async (file) => {
    const { code, output } = await runSuite(file, { ENDPOINT: server.endpoint });
    expect(code, output).toBe(0);
    expect(output).toMatch(/^ℹ pass [1-9]/m);
  },
);

test.concurrent("the adapters fit the frameworks' own types", async () => {
  expect(await checkTypes()).toEqual({ code: 0, output: "" });
});
