import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { promisify } from "node:util";
import { client, endpoint } from "../server.ts";

const run = promisify(execFile);

const CONFORMANCE = join(
  import.meta.dirname,
  "../node_modules/@modelcontextprotocol/conformance/dist/index.js",
);

/** Scenarios for every server. The others call tools, prompts and resources of a server that is made for the suite. */
const SCENARIOS = [
  "server-initialize",
  "ping",
  "tools-list",
  "resources-list",
  "server-sse-multiple-streams",
  "dns-rebinding-protection",
];

const results = mkdtempSync(join(tmpdir(), "agent-vm-conformance-"));
after(async () => {
  rmSync(results, { recursive: true });
  await client.dispose();
});

describe("/mcp passes the conformance suite", { concurrency: true }, () => {
  for (const scenario of SCENARIOS) {
    test(scenario, async () => {
      const args = [CONFORMANCE, "server", "--url", `${endpoint}/mcp?vm=conformance`, "--scenario", scenario];
      const { stdout } = await run(process.execPath, args, { cwd: results }).catch(
        (error: { stdout: string; stderr: string }) => assert.fail(error.stdout + error.stderr),
      );
      assert.match(stdout, /Passed: [1-9]\d*\/\d+, 0 failed/);
    });
  }
});
