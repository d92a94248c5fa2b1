// @module-tag any-user
// @module-tag attack
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from "node:fs";
import { expect, test } from "vitest";
import type { VmOptionsInput } from "../../../../../src/runtime/options.ts";
import { CHANNEL_FD } from "../../../../../src/runtime/sandbox/kernel/helpers/launcher-channel.ts";
import type { Vm } from "../../../../../src/runtime/vm.ts";
import { isRoot, ownDescendants } from "../../../../support/host.ts";
import { startVm } from "../../../../support/vm.ts";

/** Host pids of the spawners of VMs. */
function spawners(before: readonly number[]): number[] {
  return ownDescendants().filter(
    (pid) => !before.includes(pid) && commandLine(pid).startsWith("agentos-spawner"),
  );
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // The process has just ended.
    return "";
  }
}

test("the first command starts from the boot's spawner", async () => {
  const before = ownDescendants();
  const { vm } = startVm();
  await vm.boot();
  const booted = spawners(before);
  expect(booted.length).toBe(1);
  expect((await vm.exec("echo $PPID")).stdout).toBe("2\n");
  expect(spawners(before)).toEqual(booted);
});

/** Ends the spawner of the boot. @returns host pid of the spawner after it, which has entered the VM */
async function laterSpawner(vm: Vm, before: readonly number[]): Promise<number> {
  const [booted = 0] = spawners(before);
  process.kill(booted, "SIGKILL");
  await vm.exec("true");
  const [later = 0] = spawners(before).filter((pid) => pid !== booted);
  return later;
}

const KINDS = ["boot's", "later"] as const;

test.each(KINDS)("the %s spawner holds nothing of the host, and has no rights", async (kind) => {
  const before = ownDescendants();
  const { vm } = startVm();
  await vm.exec("true");
  const pid = kind === "later" ? await laterSpawner(vm, before) : (spawners(before)[0] ?? 0);
  const held = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  const expected =
    /^(pipe:\[\d+\]|socket:\[\d+\]|\/dev\/null|anon_inode:\[signalfd\]|(\/proc)?\/\d+\/oom_score_adj)$/;
  expect(held.filter((target) => !expected.test(target))).toEqual([]);
  // Not the server's ends of its own pipes: it ends with its input.
  const pipes = held.filter((target) => target.startsWith("pipe:"));
  expect(new Set(pipes).size).toBe(pipes.length);
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  for (const name of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"])
    expect(status).toMatch(new RegExp(`^${name}:\\t0+$`, "m"));
  expect(status).toMatch(/^NoNewPrivs:\t1$/m);
  expect(status).toMatch(/^Seccomp:\t2$/m);
  expect(readFileSync(`/proc/${pid}/environ`, "utf8")).not.toContain(process.cwd());
});

/** Reads all memory of a process that it can write. */
function memoryOf(pid: number): Buffer {
  const memory = openSync(`/proc/${pid}/mem`, "r");
  try {
    const ranges = [...readFileSync(`/proc/${pid}/maps`, "utf8").matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)];
    const parts = ranges.map(([, from = "", to = ""]) => {
      const part = Buffer.alloc(Number.parseInt(to, 16) - Number.parseInt(from, 16));
      readSync(memory, part, 0, part.length, BigInt(`0x${from}`));
      return part;
    });
    return Buffer.concat(parts);
  } finally {
    closeSync(memory);
  }
}

function pipesOf(pid: number): string[] {
  try {
    const targets = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    return targets.filter((target) => /^(pipe|socket):/.test(target));
  } catch {
    // The process has just ended.
    return [];
  }
}

const look = (pid: number) => ({ pipes: pipesOf(pid), memory: memoryOf(pid) });

interface Programs {
  vm: Vm;
  before: readonly number[];
  spawner: number;
  connector: number;
}

/** Starts a VM, and waits for its spawner and its connector. */
async function startWithPrograms(options: VmOptionsInput): Promise<Programs> {
  const before = ownDescendants();
  const { vm } = startVm(options);
  await vm.exec("true");
  const found = (name: string) =>
    ownDescendants().find((pid) => !before.includes(pid) && commandLine(pid).startsWith(name)) ?? 0;
  // A first program may want to go out, so the connector starts beside it.
  await expect.poll(() => found("agentos-connector")).toBeGreaterThan(0);
  return { vm, before, spawner: found("agentos-spawner"), connector: found("agentos-connector") };
}

test.runIf(isRoot)(
  "programs that the launcher becomes have no pipe, socket or memory of another VM",
  async () => {
    // Its boot gets this number.
    const secret = "size=123469824";
    await startWithPrograms({ limits: { filesystemBytes: 123_469_824 } });
    const ofFirst = ownDescendants();
    const { vm, before, spawner, connector } = await startWithPrograms({});
    const held = new Set(ofFirst.flatMap(pipesOf));
    const launcher = ofFirst.find((pid) => commandLine(pid).startsWith("agentos-launcher")) as number;
    // All connectors have the channel to the server.
    const channel = readlinkSync(`/proc/${launcher}/fd/${CHANNEL_FD}`);
    const seen = [spawner, connector].map(look);
    const later = await laterSpawner(vm, before);
    const enter = Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${later}/status`, "utf8"))?.[1]);
    expect(commandLine(enter)).toContain("agentos-enter");
    seen.push(...[later, enter].map(look));
    const shared = seen.map(({ pipes }) => pipes.filter((target) => held.has(target)));
    expect(shared).toEqual([[], [channel], [], []]);
    for (const { memory } of [...seen, look(launcher)]) {
      // Its text is there, so the look finds what there is.
      expect(memory.includes("agentos-spawner")).toBe(true);
      expect(memory.includes(secret)).toBe(false);
    }
  },
);

/** Tries to keep a spawner's pipe open beyond its end. */
const HOLD = `
for fd in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
  ( exec 9<> /proc/$PPID/fd/$fd && exec setsid sleep 1001 ) > /dev/null 2>&1 < /dev/null &
done
echo held; read -r; kill -KILL $PPID; sleep 1002`;

test("a VM that kills the boot's spawner and holds its pipes still runs commands", async () => {
  const { vm, event, outputHas } = startVm();
  const { pid } = await vm.spawn("bash", ["-c", HOLD]);
  await outputHas(pid, "held");
  await vm.writeProcessStdin(pid, "\n");
  expect(await event("processExit")).toMatchObject({ pid, exitCode: 137, signal: "SIGKILL" });
  for (let round = 0; round < 3; round++) expect((await vm.exec(`echo ${round}`)).stdout).toBe(`${round}\n`);
});
