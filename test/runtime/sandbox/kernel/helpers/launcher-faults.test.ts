// @module-tag any-user
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { openSync, readdirSync, readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test, vi } from "vitest";
import { vmOptionsSchema } from "../../../../../src/runtime/options.ts";
import { createSandboxFactory } from "../../../../../src/runtime/sandbox/factory.ts";
import { bootVm } from "../../../../../src/runtime/sandbox/kernel/boot/boot.ts";
import { Attributes } from "../../../../../src/runtime/sandbox/kernel/files/attributes.ts";
import { spawnerText } from "../../../../../src/runtime/sandbox/kernel/helpers/enter.ts";
import { launch } from "../../../../../src/runtime/sandbox/kernel/helpers/launch.ts";
import { Launched } from "../../../../../src/runtime/sandbox/kernel/helpers/launched.ts";
import { CHANNEL_FD } from "../../../../../src/runtime/sandbox/kernel/helpers/launcher-channel.ts";
import { heldMemory } from "../../../../../src/runtime/sandbox/kernel/processes/memory-parts.ts";
import { ENDED_STATES } from "../../../../../src/runtime/sandbox/kernel/procfs/held-process.ts";
import { processStartTime, readStat } from "../../../../../src/runtime/sandbox/kernel/procfs/procfs.ts";
import { findTools } from "../../../../../src/runtime/sandbox/kernel/tools.ts";
import { isRoot, ownDescendants } from "../../../../support/host.ts";
import { testFolder } from "../../../../support/temporary-folder.ts";
import { failure } from "../../../../support/until.ts";
import { startVm } from "../../../../support/vm.ts";

const REPOSITORY = join(import.meta.dirname, "../../../../..");

/** Pids of this process's launchers. */
const launchers = () => ownDescendants().filter((pid) => commandLine(pid).startsWith("agentos-launcher"));

function commandLine(pid: number | string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // The process has just ended.
    return "";
  }
}

/** Pids of the host's processes `sleep MARK`. */
const sleepers = (mark: string) =>
  readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && commandLine(pid) === `sleep\0${mark}\0`);

const hasEnded = (pid: number) => ENDED_STATES.includes(readStat(pid)?.state ?? "X");

async function theLauncher(): Promise<number> {
  // A program has the name of the launcher until it has been loaded.
  await expect.poll(launchers).toHaveLength(1);
  return launchers()[0] as number;
}

test("signals that stop a service do not end the launcher and its VMs", async () => {
  const { vm } = startVm();
  const { pid } = await vm.spawn("sleep", ["1000"]);
  const launcher = await theLauncher();
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.kill(launcher, signal);
  // It starts programs as before, which take these signals.
  const program = await launch({ command: ["/bin/sh", "-c", "kill -TERM $$"] });
  expect(await program.exited).toEqual({ code: null, signal: "SIGTERM" });
  expect(await theLauncher()).toBe(launcher);
  expect((await vm.exec(`kill -0 ${pid}`)).exitCode).toBe(0);
});

/** A boot that waits for its plan, which is a FIFO. */
function hangingBoot(signal: AbortSignal): Promise<unknown> {
  const planPath = join(testFolder(), "plan");
  execFileSync("mkfifo", [planPath]);
  const { limits } = vmOptionsSchema.parse({});
  const tools = findTools();
  return bootVm({
    ...{ planPath, mountPoint: testFolder(), shown: [], cgroupProcs: [], limits, openFiles: 1024 },
    held: heldMemory(limits, false),
    ...{ owner: null, tools, filter: "", spawner: spawnerText(tools.perl, null), signal },
  });
}

test("a boot that is given up while the launcher starts its first program ends at once", async () => {
  const giveUp = new AbortController();
  const booting = hangingBoot(giveUp.signal);
  const reason = new Error("given up");
  giveUp.abort(reason);
  expect(await failure(booting)).toBe(reason);
  await expect.poll(ownDescendants).toEqual([]);
});

test("a boot that is given up while the launcher stands still ends at once, and later its program", async () => {
  const other = await launch({ command: ["/bin/cat"] });
  const launcher = await theLauncher();
  process.kill(launcher, "SIGSTOP");
  const giveUp = new AbortController();
  const booting = hangingBoot(giveUp.signal);
  const reason = new Error("given up");
  giveUp.abort(reason);
  expect(await failure(booting)).toBe(reason);
  process.kill(launcher, "SIGCONT");
  other.kill();
  await expect.poll(ownDescendants).toEqual([]);
});

test("a VM ends although the launcher stands still", async () => {
  const { vm } = startVm();
  await vm.exec("true");
  const launcher = await theLauncher();
  process.kill(launcher, "SIGSTOP");
  await vm.dispose("destroy");
  expect(ownDescendants().filter((pid) => pid !== launcher && !hasEnded(pid))).toEqual([]);
  process.kill(launcher, "SIGCONT");
  await expect.poll(ownDescendants).toEqual([]);
});

test("a launcher that stands still is replaced, and its VMs run on", { tags: ["slow"] }, async () => {
  const { vm } = startVm();
  const { pid } = await vm.spawn("sleep", ["1000"]);
  const launcher = await theLauncher();
  process.kill(launcher, "SIGSTOP");
  const { vm: another } = startVm();
  expect((await another.exec("echo ran")).stdout).toBe("ran\n");
  expect(launchers().filter((one) => one !== launcher)).toHaveLength(1);
  expect((await vm.exec(`kill -0 ${pid} && echo runs`)).stdout).toBe("runs\n");
  process.kill(launcher, "SIGCONT");
  expect((await vm.exec("echo on")).stdout).toBe("on\n");
  await vm.dispose("destroy");
  // It ends with its last program.
  await expect.poll(launchers).not.toContain(launcher);
});

test("a launcher that stands still when its last program has ended is ended", {
  tags: ["slow"],
}, async () => {
  let launcher: ChildProcess | undefined;
  const notice = (message: unknown) => {
    launcher = (message as { process: ChildProcess }).process;
  };
  subscribe("child_process", notice);
  onTestFinished(() => void unsubscribe("child_process", notice));
  const program = await launch({ command: ["/bin/cat"] });
  const disconnect = launcher?.disconnect;
  // The server disconnects from it before it asks it to end.
  const stopping = vi.spyOn(launcher as ChildProcess, "disconnect").mockImplementation(() => {
    launcher?.kill("SIGSTOP");
    disconnect?.call(launcher);
  });
  program.stdin.end();
  expect(await program.exited).toEqual({ code: 0, signal: null });
  expect(stopping).toHaveBeenCalledOnce();
  await expect.poll(ownDescendants).toEqual([]);
});

test("a read of extended attributes ends with its VM although the launcher stands still", async () => {
  const other = await launch({ command: ["/bin/cat"] });
  const launcher = await theLauncher();
  process.kill(launcher, "SIGSTOP");
  const attributes = new Attributes(findTools().perl, openSync("/", "r"));
  const reading = failure(attributes.read([{ parent: null, name: "etc", depth: 1, ino: 1 }]).next());
  await attributes.close();
  expect(await reading).toMatchObject({ code: "vm_stopped" });
  // No other launcher has started in its place.
  expect(launchers()).toEqual([launcher]);
  process.kill(launcher, "SIGCONT");
  other.kill();
  await expect.poll(ownDescendants).toEqual([]);
});

test("a VM whose launcher was killed has ended only when its processes have", async () => {
  const mark = String(200_000 + process.pid);
  const factory = createSandboxFactory(vmOptionsSchema.parse({}));
  const sandbox = await factory.boot(new AbortController().signal);
  const line = `for i in $(seq 50); do sleep ${mark} & done; wait`;
  await sandbox.processes?.spawn({ line, cwd: "/", env: {}, stdin: false });
  await expect.poll(() => sleepers(mark)).toHaveLength(50);
  process.kill(await theLauncher(), "SIGKILL");
  await sandbox.crashed;
  await sandbox.dispose();
  expect(sleepers(mark)).toEqual([]);
});

test("a process that has the pid of a program that has ended keeps its children", async () => {
  const child = spawn("/bin/sh", ["-c", "sleep 1000 & echo ready; wait"], { detached: true });
  onTestFinished(() => void process.kill(-(child.pid as number), "SIGKILL"));
  await once(child.stdout, "data");
  const pid = child.pid as number;
  const startTime = processStartTime(pid) as number;
  const [stdin, stdout, stderr] = [child.stdin, child.stdout, child.stderr] as Socket[] as [
    Socket,
    Socket,
    Socket,
  ];
  const program = (since: number) =>
    new Launched({ pid, startTime: since, stdin, stdout, stderr }, () => undefined);
  const own = program(startTime);
  expect(own.children()).toHaveLength(1);
  const held = own.inside();
  expect(held?.isAlive).toBe(true);
  held?.close();
  const others = program(startTime - 1);
  expect(others.isOver).toBe(true);
  expect(others.children()).toEqual([]);
  expect(others.inside()).toBeUndefined();
  own.end({ code: 0, signal: null }, new Promise(() => undefined));
  expect(own.exit).toEqual({ code: 0, signal: null });
  expect(own.children()).toEqual([]);
});

test("a program that ends the channel ends no other program", async () => {
  const other = await launch({ command: ["/bin/cat"] });
  const launcher = await theLauncher();
  const line = `open(my $channel, "+<&=", ${CHANNEL_FD}); shutdown($channel, 2); sleep 1000`;
  const bad = await launch({ command: ["/usr/bin/perl", "-e", line], onPassed: () => undefined });
  const parentOfNext = async () => {
    const program = await launch({ command: ["/bin/cat"] });
    const parent = readStat(program.pid)?.ppid;
    program.kill();
    await program.exited;
    return parent;
  };
  // Programs that start now have another launcher, with a channel that works.
  await expect.poll(parentOfNext).not.toBe(launcher);
  other.stdin.end("text");
  expect(await text(other.stdout)).toBe("text");
  expect(await other.exited).toMatchObject({ code: 0 });
  expect(launchers()).toContain(launcher);
  bad.kill();
  await bad.exited;
  await expect.poll(ownDescendants).toEqual([]);
});

const CHANGED_USER = `
import { openSync } from "node:fs";
import { Attributes } from "./src/runtime/sandbox/kernel/files/attributes.ts";
process.setgroups([]);
process.setgid(1000);
process.setuid(1000);
const attributes = new Attributes("/usr/bin/perl", openSync("/", "r"));
const answers = [];
for await (const answer of attributes.read([{ parent: null, name: "missing", depth: 1, ino: 1 }])) answers.push(answer);
console.log(JSON.stringify(answers));
`;

/** Runs a server. @param by command that runs the server's */
async function outputOf(program: string, by: readonly string[] = []): Promise<string> {
  const [file, ...args] = [...by, process.execPath, "--input-type=module-typescript", "-e", program];
  const server = spawn(file as string, args, { cwd: REPOSITORY, stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void server.kill("SIGKILL"));
  return await text(server.stdout);
}

test.runIf(isRoot)("a server that has changed its user reads extended attributes", async () => {
  expect(await outputOf(CHANGED_USER)).toBe('["gone"]\n');
});

/** A server that may look at no other user's process, and at none that hides its memory. */
const HIDDEN = `
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { launch } from "./src/runtime/sandbox/kernel/helpers/launch.ts";
import { closeHandle } from "./src/runtime/sandbox/kernel/helpers/launcher-channel.ts";
process.setgroups([]);
process.setgid(1000);
process.setuid(1000);
const connector = await launch({ command: ["connector", "${CHANNEL_FD}", "0"], onPassed: (_, handle) => closeHandle(handle) });
while (existsSync("/proc/" + connector.pid + "/stat")) await delay(10);
const isOver = connector.isOver;
connector.kill();
console.log(JSON.stringify({ isOver, ...(await connector.exited) }));
`;

const KILLED = '{"isOver":false,"code":null,"signal":"SIGKILL"}\n';

test.runIf(isRoot)("a program ends that the host's /proc hides from the server", async () => {
  const line = 'mount -t proc -o hidepid=2 proc /proc && exec "$0" "$@"';
  expect(await outputOf(HIDDEN, ["unshare", "-m", "sh", "-c", line])).toBe(KILLED);
});

const NO_DESCRIPTORS = `
import { closeSync, openSync } from "node:fs";
import { launch } from "./src/runtime/sandbox/kernel/helpers/launch.ts";
const program = await launch({ command: ["/bin/sleep", "1000"] });
const open = [];
try {
  for (;;) open.push(openSync("/dev/null", "r"));
} catch {}
const isOver = program.isOver;
program.kill();
for (const fd of open) closeSync(fd);
console.log(JSON.stringify({ isOver, ...(await program.exited) }));
`;

test("a server without descriptors ends a program, and takes none for ended", async () => {
  expect(await outputOf(NO_DESCRIPTORS, ["sh", "-c", 'ulimit -n 256 && exec "$0" "$@"'])).toBe(KILLED);
});

test("a VM whose connector starts ends although the launcher stands still", async () => {
  const factory = createSandboxFactory(vmOptionsSchema.parse({}));
  const sandbox = await factory.boot(new AbortController().signal);
  const launcher = await theLauncher();
  process.kill(launcher, "SIGSTOP");
  const listening = failure(sandbox.network?.listen(0) ?? Promise.resolve());
  await sandbox.dispose();
  expect(await listening).toMatchObject({ code: "vm_stopped" });
  process.kill(launcher, "SIGCONT");
  await expect.poll(ownDescendants).toEqual([]);
});
