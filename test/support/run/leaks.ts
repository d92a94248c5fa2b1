import { existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const CLAIMS_FOLDER = "/run/agent-vm/uids";
const CGROUPS = "/sys/fs/cgroup";
/** A cgroup can be removed only after the kernel has reaped its last process. */
const GRACE_MS = 5_000;

/** Names what dead servers have left outside the temporary folder. Another user's run may have left it before. */
export function leftOnMachine(): string[] {
  return [...cgroups(), ...claims()];
}

/**
 * Names everything that a run has left on this machine: files in its temporary folder, mounts, cgroups with processes
 * and half-made uid claims. A killed server's scratch folder, empty cgroups and whole claim do not count, because the
 * next server removes them.
 *
 * @param folder the run's temporary folder
 * @param before what `leftOnMachine` named before the run
 */
export async function findLeaks(folder: string, before: readonly string[]): Promise<string[]> {
  const deadline = Date.now() + GRACE_MS;
  for (;;) {
    const found = [
      ...files(folder),
      ...mounts(folder),
      ...leftOnMachine().filter((name) => !before.includes(name)),
    ];
    if (found.length === 0 || Date.now() > deadline) return found;
    await delay(100);
  }
}

function files(folder: string): string[] {
  return (
    list(folder)
      // The folders of tests go with the run's folder: vitest ends a worker without its exit handlers. Chromium leaves a
      // folder of its own on the host if it is ended while it starts.
      .filter((name) => !/^(agent-vm-(data|test)-|org\.chromium\.)/.test(name) && !isOfDeadServer(name))
      .map((name) => `file ${join(folder, name)}`)
  );
}

function mounts(folder: string): string[] {
  if (!existsSync("/proc/self/mountinfo")) return [];
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(` ${folder}/`))
    .map((line) => `mount ${line}`);
}

/** Cgroups of dead servers that still hold processes, in every hierarchy. */
function cgroups(): string[] {
  if (!existsSync("/proc/self/cgroup")) return [];
  const parents = readFileSync("/proc/self/cgroup", "utf8")
    .trim()
    .split("\n")
    .flatMap((line) => {
      const [, controllers = "", path = ""] = line.split(":");
      return [join(CGROUPS, controllers, path), join(CGROUPS, controllers, path, "..")];
    });
  return [...new Set(parents)]
    .filter((parent) => parent.startsWith(CGROUPS))
    .flatMap((parent) => list(parent).map((name) => ({ parent, name })))
    .filter(({ parent, name }) => isOfDeadServer(name) && !removed(join(parent, name)))
    .map(({ parent, name }) => `cgroup ${join(parent, name)}`);
}

/** Claims that a dead server has begun to make. */
function claims(): string[] {
  return list(CLAIMS_FOLDER)
    .filter((name) => {
      const pid = /^draft-(\d+)-/.exec(name)?.[1];
      return pid !== undefined && !existsSync(`/proc/${pid}`);
    })
    .map((name) => `uid claim ${join(CLAIMS_FOLDER, name)}`);
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function removed(path: string): boolean {
  try {
    for (const name of list(path)) if (name.startsWith("vm-")) rmdirSync(join(path, name));
    rmdirSync(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}

/** Servers name their folders and cgroups after their pid and the start time of their process. */
function isOfDeadServer(name: string): boolean {
  const match = /^agent-vm-(\d+)-(\d+)-/.exec(name);
  return match !== null && startTime(Number(match[1])) !== match[2];
}

function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}
