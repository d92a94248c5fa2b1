// @module-tag slow
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { runProgram } from "../support/program.ts";
import { type ServerProcess, startTestServer } from "../support/servers.ts";

const EXAMPLES = fileURLToPath(new URL("../../examples", import.meta.url));

/** Whole output of each example. */
const OUTPUTS: Record<string, string[]> = {
  "coding-agent/main.ts": [
    "waiting | write note.txt: buy milk",
    "done | I would like to write that down. Done.",
    '[{"change":"added","path":"/workspace/note.txt"}]',
    "after undo: []",
    "",
  ],
  "evaluation/main.ts": ["4 of 5 passed", ""],
  "cron.ts": [
    "tick ended with exit code 0",
    "tick ended with exit code 0",
    "completed tick",
    "completed tick",
    "tick 2 is over",
    "report 0 goes on",
    "",
  ],
  "dev-server.ts": [
    "3000 :: node",
    "200 <h1>Hello from /client</h1>",
    "<h1>Hello from /browser</h1>",
    "after expiry: 403",
    "",
  ],
  "host-functions.ts": [
    "$ agentos-shop order --item apples --count 2",
    '{"ok":true,"result":{"orderedBy":"customer","item":"apples","count":2,"left":1}}',
    "looking for apples",
    "exit code: 0",
    "$ agentos-shop order --item apples --count 2",
    "looking for apples",
    "Not enough apples",
    "exit code: 1",
    "$ agentos-shop order",
    "Missing required flag: --item",
    "exit code: 1",
    "",
  ],
  "lifecycle.ts": [
    "node /home/agentos/server.js running",
    "true null",
    "exit code: 143",
    "reason: killed",
    "",
  ],
  "processes.ts": [
    "Started process: true",
    "[stdout] listening",
    "[stderr] no requests yet",
    "exited with code 0",
    "",
  ],
  "quickstart.ts": ["stdout: hello", "/home/agentos", "", "stderr: ", "exit code: 0", ""],
  "secrets.ts": [
    "/v1/models welcome, your key is Bearer ************",
    "/admin who are you?, your key is undefined",
    "API_KEY header authorization",
    "",
  ],
  "services.ts": [
    "web starting",
    "web ready",
    "hello",
    "web waiting",
    "web starting",
    "web ready",
    "hello",
    "web stopped",
    "",
  ],
  "session.ts": [
    "A session with own.",
    "What shall it do?",
    "I would like to write that down. ",
    "[write note.txt: buy milk] once, always or reject?",
    "Done.",
    "What next?",
    "",
  ],
  "shell.ts": ["a terminal of the VM's own", "closed: true", ""],
  "stdin.ts": ["exit code: 0", "output: hello from stdin", "", ""],
};

/** Input that the user types. */
const INPUTS: Record<string, string> = { "session.ts": "buy milk\nonce\n" };

/** Programs that examples run inside their VMs. */
const PARTS = ["own-agent.js"];

/** Pages for browsers, which test/react builds and opens. */
const PAGES = ["react"];

let server: ServerProcess;
beforeAll(async () => {
  server = await startTestServer({ kind: "kernel", process: true });
});
afterAll(() => server.stop("SIGTERM"));

test("the tests run every example", () => {
  const run = Object.keys(OUTPUTS).map((path) => path.split("/")[0]);
  expect(readdirSync(EXAMPLES).sort()).toEqual([...run, ...PARTS, ...PAGES].sort());
});

test.each(Object.entries(OUTPUTS))(
  "%s prints its expected output and exits by itself",
  async (name, lines) => {
    const args = ["--conditions=agent-vm-source", join(EXAMPLES, name)];
    const env = { ENDPOINT: server.endpoint, PORT: String(await freePort()), TASKS: "5" };
    const end = await runProgram(args, { env, stdin: INPUTS[name] ?? "" });
    expect(end).toEqual({ code: 0, stdout: lines.join("\n"), stderr: "" });
  },
);
