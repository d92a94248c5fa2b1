import { describe, expect, test } from "vitest";
import type { AgentVmError } from "../../src/api/errors.ts";
import { parseArgs } from "../../src/api/methods/parse.ts";
import { VM_METHOD_NAMES } from "../../src/api/methods/table.ts";
import { cpuMs } from "../support/cpu.ts";

/** CPU time that a refusal may take. In milliseconds. */
const EARLY_MS = 200;

/** Returns the result or the error of an action with these arguments. */
function refused(action: string, ...args: unknown[]): string {
  try {
    return `accepted ${JSON.stringify(parseArgs(action as "exec", args))}`;
  } catch (error) {
    const { code, message } = error as AgentVmError;
    return `${code}: ${message}`;
  }
}

test("too many arguments of a command, and too many values of a call, are refused early", () => {
  expect(refused("execArgv", "true", Array(32_769).fill("x"))).toContain(
    "invalid_argument: Expected `args` to be at most 32768 strings",
  );
  const nested = Array.from({ length: 1_000 }, () => Array(1_000).fill(null));
  for (const call of [
    ["execArgv", "true", Array(200_000).fill("x")],
    ["execArgv", "true", Array(1_000_000).fill(5)],
    ["exec", "true", { env: { nested } }],
  ] as [string, ...unknown[]][]) {
    const begun = cpuMs();
    expect(refused(...call)).toContain("invalid_argument: Expected `arguments` to be at most 40960 values");
    expect(cpuMs() - begun).toBeLessThan(EARLY_MS);
  }
  const env = Object.fromEntries(Array.from({ length: 200_000 }, (_, index) => [`k${index}`, "v"]));
  expect(refused("exec", "true", { env })).toContain("at most 40960 values");
});

describe("the error for a bad argument names the argument, the expected and the received value", () => {
  const TIMEOUT = "a non-negative integer of milliseconds, at most 2147483647";
  test.each<[string, unknown[], string]>([
    ["exec", [], "Expected `command` to be a string, got undefined"],
    ["exec", [5], "Expected `command` to be a string, got 5"],
    ["exec", ["a\0b"], 'Expected `command` to be a string without NUL, got "a\\u0000b"'],
    ["exec", ["x", { timeout: "x" }], `Expected \`timeout\` to be ${TIMEOUT}, got "x"`],
    ["exec", ["x", { timeout: -1 }], `Expected \`timeout\` to be ${TIMEOUT}, got -1`],
    ["exec", ["x", { timeout: 1.5 }], `Expected \`timeout\` to be ${TIMEOUT}, got 1.5`],
    ["exec", ["x", { stdin: 5 }], "Expected `stdin` to be a string or bytes, got 5"],
    ["exec", ["x", { env: { A: 3 } }], "Expected `env.A` to be a string, got 3"],
    [
      "exec",
      ["x", { env: { "A=B": "c" } }],
      "Expected `env` to be an object whose keys are non-empty and without = and NUL, got an object",
    ],
    ["exec", ["x", { cwd: "a/b" }], "Path must be absolute: a/b"],
    ["exec", ["x", []], "Expected `options` to be an object, got an array of 0"],
    ["exec", ["x", {}, 3], "exec takes at most 2 arguments, got 3"],
    ["listProcesses", [1], "listProcesses takes no arguments, got 1"],
    ["execArgv", ["", []], 'Expected `command` to be the name or path of a program, got ""'],
    ["execArgv", ["ls", ["a", 5]], "Expected `args[1]` to be a string, got 5"],
    ["waitProcess", [-1], "Expected `pid` to be a process id from 1 to 4194304, got -1"],
    ["waitProcess", ["2"], 'Expected `pid` to be a process id from 1 to 4194304, got "2"'],
    ["readProcessOutput", [2, { after: -2 }], "Expected `after` to be an integer from -1, got -2"],
    [
      "signalProcess",
      [2, "TURM"],
      'Expected `signal` to be a signal\'s name, such as "SIGTERM", or its number from 0 to 64, got "TURM"',
    ],
    [
      "signalProcess",
      [2, 65],
      'Expected `signal` to be a signal\'s name, such as "SIGTERM", or its number from 0 to 64, got 65',
    ],
    ["resizeShell", ["shell-1", 0, 24], "Expected `cols` to be an integer from 1 to 4096, got 0"],
    ["openShell", [{ rows: 4097 }], "Expected `rows` to be an integer from 1 to 4096, got 4097"],
    ["writeShell", ["", "x"], 'Expected `shellId` to be a non-empty string, got ""'],
    [
      "connectTerminal",
      [{ onData: () => undefined }],
      "A function cannot cross the wire. Use `onData` with the client of agent-vm/client.",
    ],
    ["readFile", [{}], "Expected `path` to be a path, got an object"],
    ["writeFile", ["/x"], "Expected `content` to be a string or bytes, got undefined"],
    [
      "writeFiles",
      [
        [
          { path: "/a", content: "x" },
          { path: "/b", content: 4 },
        ],
      ],
      "Expected `entries[1].content` to be a string or bytes, got 4",
    ],
    ["delete", ["/x", { recursive: 1 }], "Expected `recursive` to be a boolean, got 1"],
    ["readdirRecursive", ["/", { maxDepth: -1 }], "Expected `maxDepth` to be a non-negative integer, got -1"],
    ["vmFetch", [0, "/"], "Expected `port` to be a port from 1 to 65535, got 0"],
    ["respondPermission", ["s", "p", true], "Expected `reply` to be a string, got true"],
    [
      "scheduleCron",
      [{ schedule: "* * * * *", action: { type: "exec" } }],
      "Expected `action.command` to be a string, got undefined",
    ],
    [
      "scheduleCron",
      [{ schedule: "* * * * *", action: { type: "exec", command: "x" }, timezone: "Mars/Base" }],
      'Expected `timezone` to be the IANA name of a time zone, such as "Europe/Berlin", got "Mars/Base"',
    ],
    [
      "scheduleCron",
      [{ schedule: "* * * * *", action: { type: "exec", command: "x" }, timezone: "+02:00" }],
      'Expected `timezone` to be the IANA name of a time zone, such as "Europe/Berlin", got "+02:00"',
    ],
    [
      "scheduleCron",
      [{ schedule: "*".repeat(257), action: { type: "exec", command: "x" } }],
      `Expected \`schedule\` to be a string of at most 256 bytes, got "${"*".repeat(80)}..."`,
    ],
    [
      "scheduleCron",
      [{ schedule: "@daily", action: { type: "exec", command: "x" }, catchUp: "some" }],
      'Expected `catchUp` to be "none", "once" or "all", got "some"',
    ],
    [
      "scheduleCron",
      [{ schedule: "@daily", action: { type: "exec", command: "x" }, retries: 3 }],
      "Unknown option `retries` of scheduleCron: it takes `id`, `schedule`, `action`, `overlap`, `timezone`, `catchUp`, `jitterSeconds`, `timeoutMs`, `maxRuns`, `startAt`, `stopAt`, `enabled`",
    ],
    ["listCronRuns", ["a", { limit: 1001 }], "Expected `limit` to be an integer from 1 to 1000, got 1001"],
    ["listCronRuns", [null, { limit: 0 }], "Expected `limit` to be an integer from 1 to 1000, got 0"],
  ])("%s(%j)", (action, args, message) => {
    expect(refused(action, ...args)).toBe(`invalid_argument: ${message}`);
  });
});

describe("the error for an unknown option names the option", () => {
  test.each<[string, unknown[], string]>([
    [
      "exec",
      ["x", { shell: "zsh" }],
      "Unknown option `shell` of exec: it takes `env`, `cwd`, `stdin`, `timeout`, `captureStdio`, `outputLimit`",
    ],
    ["mkdir", ["/x", { mode: 7 }], "Unknown option `mode` of mkdir: it takes `recursive`"],
    [
      "writeFiles",
      [[{ path: "/a", content: "x", mode: 7 }]],
      "Unknown option `mode` of writeFiles: it takes `path`, `content`",
    ],
  ])("%s(%j)", (action, args, message) => {
    expect(refused(action, ...args)).toBe(`invalid_argument: ${message}`);
  });
});

describe("limits", () => {
  test("refuses an argument of more than MAX_ARGUMENT_BYTES", () => {
    expect(refused("exec", "x".repeat(131_071))).toMatch(/^accepted/);
    expect(refused("exec", "x".repeat(131_072))).toMatch(
      /^invalid_argument: Expected `command` to be at most 131071 bytes/,
    );
    expect(refused("exec", "ä".repeat(65_536))).toMatch(/at most 131071 bytes/);
  });

  test("refuses a variable of more than MAX_ARGUMENT_BYTES, name and value together", () => {
    expect(refused("exec", "ls", { env: { A: "x".repeat(131_069) } })).toMatch(/^accepted/);
    expect(refused("exec", "ls", { env: { A: "x".repeat(131_070) } })).toBe(
      "invalid_argument: Expected `env` to be an object of variables of at most 131071 bytes each, name and value together, got an object",
    );
  });

  test("refuses arguments and variables of more than MAX_ARGUMENTS_BYTES together", () => {
    const args = Array.from({ length: 9 }, () => "x".repeat(120_000));
    const message =
      "invalid_argument: A command's arguments and variables are too long: they may have at most 1048576 bytes together";
    expect(refused("spawn", "ls", args)).toBe(message);
    expect(refused("execArgv", "ls", args.slice(0, 8), { env: { A: "x".repeat(120_000) } })).toBe(message);
    expect(refused("execArgv", "ls", args.slice(0, 8))).toMatch(/^accepted/);
  });

  test("refuses a long working directory, and leaves a long file path to the file system (ENAMETOOLONG)", () => {
    expect(refused("exec", "ls", { cwd: `/${"x".repeat(4094)}` })).toMatch(/^accepted/);
    expect(refused("exec", "ls", { cwd: `/${"x".repeat(4095)}` })).toMatch(
      /Expected `cwd` to be a path of at most 4095 bytes/,
    );
    expect(refused("stat", `/${"x".repeat(4095)}`)).toMatch(/^accepted/);
  });

  test("refuses a batch of more than MAX_BATCH_ENTRIES", () => {
    expect(refused("readFiles", Array(10_001).fill("/x"))).toBe(
      "invalid_argument: Expected `paths` to be at most 10000 paths, got an array of 10001",
    );
  });
});

describe("accepts", () => {
  test("an ArrayBuffer as bytes", () => {
    expect(parseArgs("writeFile", ["/x", new Uint8Array([1, 2]).buffer])).toEqual([
      "/x",
      new Uint8Array([1, 2]),
    ]);
  });

  test("a signal without its prefix", () => {
    expect(parseArgs("signalProcess", [2, "TERM"])).toEqual([2, "SIGTERM", undefined]);
    expect(parseArgs("signalProcess", [2, 9])).toEqual([2, 9, undefined]);
  });

  test("null for an optional argument, as a JSON client sends it", () => {
    expect(parseArgs("exec", ["x", null])).toEqual(["x", undefined]);
  });
});

test("a VM has every action of agentOS v0.2.0-rc.3", () => {
  const rc3 =
    `cancelCronJob cancelPrompt cancelSession closeProcessStdin closeSession closeShell connectTerminal
    createSession createSignedPreviewUrl delete destroySession exec execArgv exists getConfigOptions getModes getProcess
    getSequencedEvents getSessionEvents killProcess listCronJobs listPersistedSessions listProcesses listSessions mkdir
    move openShell prompt readdir readdirRecursive readFile readFiles resizeShell respondPermission scheduleCron
    sendPrompt setMode setModel setThoughtLevel snapshotRootFilesystem spawn spawnProcess stat stopProcess vmFetch
    waitProcess writeFile writeFiles writeProcessStdin writeShell`.split(/\s+/);
  expect(rc3).toHaveLength(50);
  expect(VM_METHOD_NAMES).toEqual(expect.arrayContaining(rc3));
});
