// @module-tag slow
import { readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
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
  "ci-runner/main.ts": [
    "test: passed",
    "  $ node sum.test.js",
    "  $ echo all tests passed",
    "  all tests passed",
    "lint: failed",
    "  $ grep -n 'use strict' sum.js",
    "build: passed (artifact of 34 bytes)",
    "  $ mkdir out",
    "  $ cat sum.js > out/bundle.js",
    "hang: timed out",
    "  $ sleep 1000",
    "",
  ],
  "code-interpreter/main.ts": [
    "alice> x = 20",
    "",
    "alice> print('x is', x); x + 1",
    "x is 20",
    "21",
    "bob> x",
    "NameError: name 'x' is not defined",
    "alice> while True: pass",
    "The interpreter ended",
    "alice> sum(range(10))",
    "45",
    "alice> 1",
    "1",
    "A user may run 5 cells a minute",
    "",
  ],
  "competing-agents/main.ts": ["merger 1294", "bubbles 19900", "lazy wrong", "kept: 1294", ""],
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
  "generated-apps/main.ts": [
    "A list of birds",
    "A list of fish",
    "A list of birds",
    'document.title = "A list of birds";',
    "",
  ],
  "extend.ts": [
    "exit code 0",
    "built all, 1 so far",
    "built for acme",
    "a process of acme exits with 3",
    "acme has used 80 % of filesystemBytes",
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
  "locked-preview.ts": [
    "without the password: 401",
    "with it: the shop",
    "the same URL: true",
    "GET / 401",
    "GET / 200",
    "",
  ],
  "mounts.ts": [
    "from this machine",
    "from this machine",
    "from the VM",
    "[ 'added /mnt/project/file', 'deleted /mnt/project/note' ]",
    "shared",
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
  "recording.ts": ['asciicast v2, 80 x 24: "1\\r\\n2\\r\\n3\\r\\n"', ""],
  "screen.ts": ["80 x 24: 3 lines", "goes on: true", ""],
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
    "## User, ## Agent, ## Permission, ## Answer, ## Agent",
    "",
  ],
  "shell.ts": ["a terminal of the VM's own", "closed: true", ""],
  "web-terminal/main.ts": ["true", "true", ""],
  "stdin.ts": ["exit code: 0", "output: hello from stdin", "", ""],
  "waiting.ts": ["bash waits for input: blue", "bash waits for input: yes", "exit code 0", ""],
  "tunnel.ts": ["Hello, client", "Hello from your machine", ""],
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
afterAll(async () => {
  await server.stop("SIGTERM");
  rmSync(join(tmpdir(), "agent-vm-example.cast"), { force: true });
});

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
