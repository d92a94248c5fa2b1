// @module-tag any-user
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { testRows } from "../../support/rows.ts";
import { until } from "../../support/until.ts";
import { fileVm } from "../../support/vm.ts";

const machine = fileVm();

/** Looks at a program, none of which may find it waiting. */
const LOOKS = 15;

const python = (code: string) => ["python3", "-c", code];
const node = (code: string) => ["node", "-e", code];
const sh = (line: string) => ["bash", "-c", line];

/** A pipe without room, whose output a program awaits beside input. */
const FULL_PIPE = `import os, select
r, w = os.pipe()
os.set_blocking(w, False)
try:
  while True: os.write(w, b"x" * 4096)
except BlockingIOError: print("go", flush=True)
`;

interface Program {
  argv: string[];
  /** Text that the program prints first. */
  shows: string | RegExp;
}

const WAITING: Record<string, Program> = {
  "bash at its prompt": { argv: ["bash", "-i"], shows: /\$ $/ },
  "bash that reads a line": { argv: sh("read -p 'sure? '"), shows: "sure?" },
  "the REPL of Python": { argv: ["python3", "-q"], shows: ">>>" },
  "a question for a password": { argv: python("import getpass; getpass.getpass()"), shows: "Password" },
  "a thread that reads": {
    argv: python("import threading; t = threading.Thread(target=input, args=['> ']); t.start(); t.join()"),
    shows: "> ",
  },
  "a script of Node": { argv: node("process.stdin.on('data', () => {}); console.log('go')"), shows: "go" },
  "the REPL of Node": { argv: ["node", "-i"], shows: "> " },
  "poll without a limit": {
    argv: python("import select; p = select.poll(); p.register(0, 1); print('go', flush=True); p.poll()"),
    shows: "go",
  },
  "the first of a pipeline": { argv: sh("echo go; cat | cat | cat"), shows: "go" },
  vim: { argv: ["vim", "-u", "NONE", "/tmp/note"], shows: "/tmp/note" },
  less: { argv: ["less", "/etc/services"], shows: "/etc/services" },
};

const GOING_ON: Record<string, Program> = {
  sleep: { argv: sh("echo go; sleep 1000"), shows: "go" },
  "a busy loop": { argv: sh("echo go; while :; do :; done"), shows: "go" },
  "the middle of a pipeline": { argv: sh("echo go; sleep 1000 | cat | cat"), shows: "go" },
  "a script in the background": { argv: sh("cat & echo go; sleep 1000"), shows: "go" },
  "a wait with a limit": {
    argv: python("import select; print('go', flush=True)\nwhile True: select.select([0], [], [], 1000)"),
    shows: "go",
  },
  "a server that also reads keys": {
    argv: node("process.stdin.resume(); require('net').createServer().listen(0, () => console.log('go'))"),
    shows: "go",
  },
  "a thread that reads beside a server": {
    argv: python(
      "import socket, threading; s = socket.create_server(('127.0.0.1', 0)); threading.Thread(target=input, args=['go']).start(); s.accept()",
    ),
    shows: "go",
  },
  "poll for output too": {
    argv: python(`${FULL_PIPE}p = select.poll(); p.register(0, 1); p.register(w, 4); p.poll()`),
    shows: "go",
  },
  "select for output too": { argv: python(`${FULL_PIPE}select.select([0], [w], [])`), shows: "go" },
  "epoll for output too": {
    argv: python(`${FULL_PIPE}p = select.epoll(); p.register(0, 1); p.register(w, 4); p.poll()`),
    shows: "go",
  },
  "tail -f": { argv: sh("echo go > /tmp/followed; tail -f /tmp/followed"), shows: "go" },
  top: { argv: ["top", "-d", "1000"], shows: "PID" },
};

const rows = (table: object) => Object.keys(table).map((name) => [name] as const);

const isThere = ({ argv: [program = ""] }: Program) =>
  !["vim", "less", "top"].includes(program) || existsSync(`/usr/bin/${program}`);

/** Returns the rows of a table whose programs are installed. Skips a test for each other row. */
function installed(table: Readonly<Record<string, Program>>): (readonly [string])[] {
  for (const [name, program] of Object.entries(table))
    if (!isThere(program)) test.skip(`${name} is not installed`);
  return rows(table).filter(([name]) => isThere(table[name] as Program));
}

async function open({ argv: [command, ...args], shows }: Program): Promise<string> {
  const { vm, screenHas } = machine();
  const { shellId } = await vm.openShell({ command, args });
  await screenHas(shellId, shows);
  return shellId;
}

async function isWaiting(shellId: string): Promise<boolean | undefined> {
  return (await machine().vm.listShells()).find((shell) => shell.shellId === shellId)?.waitingForInput;
}

testRows(installed(WAITING), 3)("waits for input in a shell: %s", async (name) => {
  const program = WAITING[name] as Program;
  const { vm, event } = machine();
  const shellId = await open(program);
  const told = await event("waitingForInput", (each) => each.shellId === shellId && each.waiting);
  expect(await isWaiting(shellId)).toBe(true);
  const processes = await vm.allProcesses();
  expect(processes.find(({ pid }) => pid === told.waitingPid)).toMatchObject({
    command: told.command,
    waitingForInput: true,
  });
  await vm.closeShell(shellId);
  expect(await isWaiting(shellId)).toBe(false);
});

testRows(installed(GOING_ON), 3)("goes on without input in a shell: %s", async (name) => {
  const program = GOING_ON[name] as Program;
  const { vm, events } = machine();
  const shellId = await open(program);
  for (let look = 0; look < LOOKS; look++) expect(await isWaiting(shellId)).toBe(false);
  const about = events.filter(
    ({ name, payload }) => name === "waitingForInput" && payload.shellId === shellId,
  );
  expect(about).toEqual([]);
  await vm.closeShell(shellId);
});

test("a shell that gets a command waits no more, and then again", async () => {
  const { vm, events } = machine();
  const shellId = await open(WAITING["bash at its prompt"] as Program);
  const told = () =>
    events.flatMap(({ name, payload }) =>
      name === "waitingForInput" && payload.shellId === shellId ? [[payload.waiting, payload.command]] : [],
    );
  await until(() => told().length === 1);
  await vm.writeShell(shellId, "sleep 1000\n");
  await until(() => told().length === 2);
  await vm.writeShell(shellId, "\x03cat\n");
  await until(() => told().length === 3);
  expect(told()).toEqual([
    [true, "bash"],
    [false, undefined],
    [true, "cat"],
  ]);
  await vm.closeShell(shellId);
});

test("a command that ends at once is followed by a new wait", async () => {
  const { vm, events, event } = machine();
  const { pid } = await vm.spawn("bash", ["-c", "while read line; do echo got $line; done"]);
  const waits = () => events.filter(({ name, payload }) => name === "waitingForInput" && payload.pid === pid);
  await event("waitingForInput", (told) => told.pid === pid && told.waiting);
  await vm.writeProcessStdin(pid, "one\n");
  await until(() => waits().length === 3);
  expect(waits().map(({ payload }) => "waiting" in payload && payload.waiting)).toEqual([true, false, true]);
  await vm.killProcess(pid);
});

const READERS: Record<string, string[]> = {
  cat: ["cat"],
  "a child that has its stdin": sh("cat; true"),
  "a script of Node": node("process.stdin.on('data', () => {})"),
  "a line of Python": python("input()"),
};

testRows(rows(READERS), 2)("a spawned process waits for its stdin until it is closed: %s", async (name) => {
  const { vm, event } = machine();
  const [command = "", ...args] = READERS[name] as string[];
  const { pid } = await vm.spawn(command, args);
  const told = await event("waitingForInput", (each) => each.pid === pid && each.waiting);
  expect(told).toMatchObject({ shellId: null, waitingPid: expect.any(Number) });
  expect(await vm.getProcess(pid)).toMatchObject({ waitingForInput: true });
  await vm.closeProcessStdin(pid);
  await vm.waitProcess(pid);
  expect(await vm.getProcess(pid)).toMatchObject({ waitingForInput: false });
});

test("a spawned process that reads something else does not wait", async () => {
  const { vm, outputHas } = machine();
  const { pid } = await vm.spawn("bash", ["-c", "echo go; sleep 1000 | cat | cat"]);
  await outputHas(pid, "go");
  const own = async () =>
    (await vm.allProcesses()).filter(
      ({ ppid, args }) => ppid === pid && ["cat", "sleep"].includes(args[0] ?? ""),
    );
  await until(async () => (await own()).length === 3);
  for (let look = 0; look < LOOKS; look++) {
    expect(await vm.getProcess(pid)).toMatchObject({ waitingForInput: false });
    expect((await own()).map(({ waitingForInput }) => waitingForInput)).toEqual([false, false, false]);
  }
  await vm.killProcess(pid);
});
