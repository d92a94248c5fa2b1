import { readdirSync, readFileSync } from "node:fs";
import type { FileChangedEvent } from "../../src/api/events.ts";
import type { Vm } from "../../src/runtime/vm.ts";
import type { TestVm } from "./vm.ts";

/** Returns the changes that a watch has reported, e.g. `renamed /a -> /b`. Paths of directories end with a slash. */
export function changesOf({ events }: Pick<TestVm, "events">, watchId: string): string[] {
  const lines: string[] = [];
  for (const event of events) {
    if (event.name !== "fileChanged" || event.payload.watchId !== watchId) continue;
    const line = lineOf(event.payload);
    // The kernel may deliver the events of one write in two reads, each of which is reported.
    if (line !== lines.at(-1)) lines.push(line);
  }
  return lines;
}

export function lineOf({ type, path, oldPath, isDirectory }: FileChangedEvent): string {
  const slash = isDirectory ? "/" : "";
  return oldPath === undefined ? `${type} ${path}${slash}` : `${type} ${oldPath}${slash} -> ${path}${slash}`;
}

/** Resolves when a watch has reported this change. */
export async function reported(
  { event }: Pick<TestVm, "event">,
  watchId: string,
  line: string,
): Promise<void> {
  await event("fileChanged", (payload) => payload.watchId === watchId && lineOf(payload) === line);
}

/** Runs a shell line in /workspace, then makes the directory `end`. Resolves when the watch has reported `end`. */
export async function run(test: TestVm, watchId: string, line: string, end: string): Promise<void> {
  const { exitCode, stderr } = await test.vm.exec(`${line}; sleep 0.05; mkdir /workspace/${end}`, {
    cwd: "/workspace",
  });
  if (exitCode !== 0 || stderr !== "") throw new Error(stderr);
  await reported(test, watchId, `created /workspace/${end}/`);
}

/** Returns the host pids of the programs that watch files for VMs of this process. */
export function watcherPids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const parent = /\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1];
        const isChild = Number(parent) === process.pid;
        return isChild && readFileSync(`/proc/${pid}/cmdline`, "latin1").startsWith("agentos-watcher");
      } catch {
        // The process has ended meanwhile.
        return false;
      }
    });
}

/** Applies changes to a list of paths. Paths of directories end with a slash. */
export function replay(before: readonly string[], changes: readonly string[]): string[] {
  const there = new Set(before);
  const below = (top: string) => [...there].filter((path) => path === top || path.startsWith(top));
  for (const change of changes) {
    const [, type, path = "", newPath] = /^(\w+) (.*?)(?: -> (.*))?$/s.exec(change) ?? [];
    if (type === "created") there.add(path);
    const moved = type === "deleted" || type === "renamed" ? below(path) : [];
    // A change of the file `a` must not affect `ab`.
    const gone = path.endsWith("/") ? moved : [path];
    if (type === "deleted" || type === "renamed") for (const old of gone) there.delete(old);
    if (type === "renamed" && newPath !== undefined) {
      // The entry may have replaced an entry of another type.
      const name = newPath.replace(/\/$/, "");
      for (const old of [name, ...below(`${name}/`)]) there.delete(old);
      for (const old of gone) there.add(newPath + old.slice(path.length));
    }
  }
  return [...there].sort();
}

/** Lists all paths below /workspace. Paths of directories end with a slash. */
export async function listing(vm: Vm): Promise<string[]> {
  const { stdout } = await vm.exec(
    "find /workspace -mindepth 1 -type d -printf '%p/\\n' -o -mindepth 1 -printf '%p\\n'",
  );
  return stdout.split("\n").filter(Boolean).sort();
}
