import { readdirSync, readFileSync } from "node:fs";
import type { FileChangedEvent } from "../../src/api/events.ts";
import type { Vm } from "../../src/runtime/vm.ts";
import type { TestVm } from "./vm.ts";

/** What a watch has told so far: `created /a`, `renamed /a -> /b`; a slash at the end of directories. */
export function told({ events }: Pick<TestVm, "events">, watchId: string): string[] {
  const lines: string[] = [];
  for (const event of events) {
    if (event.name !== "fileChanged" || event.payload.watchId !== watchId) continue;
    const line = lineOf(event.payload);
    // One write may be told in two readings of the kernel's events.
    if (line !== lines.at(-1)) lines.push(line);
  }
  return lines;
}

export function lineOf({ type, path, oldPath, isDirectory }: FileChangedEvent): string {
  const slash = isDirectory ? "/" : "";
  return oldPath === undefined ? `${type} ${path}${slash}` : `${type} ${oldPath}${slash} -> ${path}${slash}`;
}

/** Resolves when a watch has told this. */
export async function tells({ event }: Pick<TestVm, "event">, watchId: string, line: string): Promise<void> {
  await event("fileChanged", (payload) => payload.watchId === watchId && lineOf(payload) === line);
}

/** Runs a shell line in /workspace, and makes a directory there whose coming ends what the line has caused. */
export async function run(test: TestVm, watchId: string, line: string, end: string): Promise<void> {
  const { exitCode, stderr } = await test.vm.exec(`${line}; sleep 0.05; mkdir /workspace/${end}`, {
    cwd: "/workspace",
  });
  if (exitCode !== 0 || stderr !== "") throw new Error(stderr);
  await tells(test, watchId, `created /workspace/${end}/`);
}

/** Host pids of the programs that watch files for VMs of this process. */
export function watcherPids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const parent = /\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1];
        const isOurs = Number(parent) === process.pid;
        return isOurs && readFileSync(`/proc/${pid}/cmdline`, "latin1").startsWith("agentos-watcher");
      } catch {
        // It has ended meanwhile.
        return false;
      }
    });
}

/** What is there after some changes, where this was there before: each path with a slash at the end of directories. */
export function replay(before: readonly string[], changes: readonly string[]): string[] {
  const there = new Set(before);
  const below = (top: string) => [...there].filter((path) => path === top || path.startsWith(top));
  for (const change of changes) {
    const [, type, path = "", newPath] = /^(\w+) (.*?)(?: -> (.*))?$/s.exec(change) ?? [];
    if (type === "created") there.add(path);
    const moved = type === "deleted" || type === "renamed" ? below(path) : [];
    // `a` must not take `ab` along.
    const gone = path.endsWith("/") ? moved : [path];
    if (type === "deleted" || type === "renamed") for (const old of gone) there.delete(old);
    if (type === "renamed" && newPath !== undefined) {
      // It may have taken the place of something of another kind.
      const name = newPath.replace(/\/$/, "");
      for (const old of [name, ...below(`${name}/`)]) there.delete(old);
      for (const old of gone) there.add(newPath + old.slice(path.length));
    }
  }
  return [...there].sort();
}

/** What is below /workspace, in the same form. */
export async function listing(vm: Vm): Promise<string[]> {
  const { stdout } = await vm.exec(
    "find /workspace -mindepth 1 -type d -printf '%p/\\n' -o -mindepth 1 -printf '%p\\n'",
  );
  return stdout.split("\n").filter(Boolean).sort();
}
