// @module-tag any-user
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { childrenOf } from "../../../../../src/runtime/sandbox/kernel/procfs/procfs.ts";
import { findTool } from "../../../../../src/runtime/sandbox/kernel/tools.ts";
import {
  KernelWatches,
  type KernelWatchesDeps,
} from "../../../../../src/runtime/sandbox/kernel/watch/kernel-watches.ts";
import type { FileWatchChange } from "../../../../../src/runtime/sandbox/watches.ts";
import { temporaryFolder } from "../../../../support/temporary-folder.ts";
import { failure } from "../../../../support/until.ts";

const folder = temporaryFolder();

const O_PATH = 0o10000000;

/** Watches of a folder of the host in place of a VM's root. */
function watchesOver(limits: Partial<KernelWatchesDeps>) {
  const root = mkdtempSync(join(folder, "root-"));
  mkdirSync(join(root, "work"));
  const rootFd = openSync(root, O_PATH | constants.O_DIRECTORY);
  const watches = new KernelWatches({ rootFd, owner: null, perl: findTool("perl") as string, ...limits });
  onTestFinished(async () => {
    await watches.close();
    closeSync(rootFd);
  });
  const changes: FileWatchChange[] = [];
  const watch = (path = "/work") =>
    watches.watch(
      { path, realPath: path, recursive: true, exclude: [] },
      { report: (change) => void changes.push(change), drained: () => null },
    );
  const until = (type: string, path: string) =>
    expect.poll(() => changes.some((change) => change.type === type && change.path === path)).toBe(true);
  return { root, watches, changes, watch, until };
}

test("directories above the limit are not followed, and the watch reports overflow", async () => {
  // The watched directory, its parent and two directories in it.
  const { root, watch, until, changes } = watchesOver({ maxDirectories: 4 });
  const at = (name: string) => join(root, "work", name);
  mkdirSync(at("one"));
  const first = await watch();
  mkdirSync(at("two"));
  await until("created", "/work/two");
  mkdirSync(at("three"));
  await until("overflow", "/work");
  expect(await failure(watch())).toMatchObject({
    code: "limit_exceeded",
    metadata: { limit: "MAX_WATCHED_DIRECTORIES", value: 4 },
  });
  writeFileSync(at("two/file"), "");
  await until("created", "/work/two/file");
  // A directory that is removed makes room.
  rmSync(at("two"), { recursive: true });
  await until("deleted", "/work/two");
  mkdirSync(at("four"));
  await until("created", "/work/four");
  writeFileSync(at("four/file"), "");
  await until("created", "/work/four/file");
  expect(changes.filter(({ type }) => type === "overflow")).toHaveLength(1);
  first.close();
  for (const name of ["one", "three", "four"]) rmSync(at(name), { recursive: true });
  mkdirSync(at("a/b"), { recursive: true });
  const again = await watch();
  again.close();
});

test("files above the limit are not followed, and the watch reports overflow", async () => {
  const { root, watch, until } = watchesOver({ maxEntries: 3 });
  const at = (name: string) => join(root, "work", name);
  writeFileSync(at("one"), "");
  await watch();
  writeFileSync(at("two"), "");
  await until("created", "/work/two");
  writeFileSync(at("three"), "");
  await until("overflow", "/work");
  expect(await failure(watch())).toMatchObject({ metadata: { limit: "MAX_WATCHED_ENTRIES", value: 3 } });
  rmSync(at("one"));
  await until("deleted", "/work/one");
  renameSync(at("three"), at("four"));
  await until("created", "/work/four");
});

test("watches end if their watcher ends at every start", async () => {
  const { watch } = watchesOver({ perl: "/bin/false" });
  expect(await failure(watch())).toMatchObject({ code: "watch_unavailable" });
});

/** Watches of /work, whose perl the test can remove and restore. */
async function watchesWithLosablePerl() {
  const perl = join(mkdtempSync(join(folder, "perl-")), "perl");
  const restorePerl = () => symlinkSync(findTool("perl") as string, perl);
  restorePerl();
  const before = childrenOf(process.pid);
  const over = watchesOver({ perl });
  await over.watch();
  /** Kills the watcher, which cannot start again without perl. */
  const loseWatcher = async () => {
    rmSync(perl);
    const [watcher, ...others] = childrenOf(process.pid).filter((pid) => !before.includes(pid));
    if (watcher === undefined) throw new Error("The watcher does not run");
    expect(others).toEqual([]);
    process.kill(watcher, "SIGKILL");
    await expect.poll(() => childrenOf(process.pid)).not.toContain(watcher);
  };
  return { ...over, loseWatcher, restorePerl };
}

test("watches end if their watcher is killed and cannot start again", async () => {
  const { watches, changes, until, loseWatcher, restorePerl, watch } = await watchesWithLosablePerl();
  await loseWatcher();
  await until("ended", "/work");
  expect(changes.filter(({ type }) => type === "ended")).toHaveLength(1);
  restorePerl();
  expect(await failure(watch("/missing"))).toMatchObject({ code: "ENOENT" });
  await watches.close();
});

test("watches go on if their watcher can start again soon", async () => {
  const { root, until, loseWatcher, restorePerl } = await watchesWithLosablePerl();
  await loseWatcher();
  restorePerl();
  await until("overflow", "/work");
  writeFileSync(join(root, "work/file"), "");
  await until("created", "/work/file");
});

test("a new watch restarts the watcher of the other watches at once", async () => {
  const { root, watch, loseWatcher, restorePerl, until } = await watchesWithLosablePerl();
  mkdirSync(join(root, "other"));
  await loseWatcher();
  expect(await failure(watch("/other"))).toMatchObject({ code: "watch_unavailable" });
  restorePerl();
  await watch("/other");
  await until("overflow", "/work");
  for (const name of ["work/file", "other/file"]) {
    writeFileSync(join(root, name), "");
    await until("created", `/${name}`);
  }
});

test("with more watches, one turn of the event loop reports fewer events", async () => {
  const { root, watches } = watchesOver({});
  let turn = 0;
  let reported = 0;
  let isOver = false;
  const count = () => {
    turn++;
    if (!isOver) setImmediate(count);
  };
  const perTurn = new Map<number, number>();
  const report = () => {
    reported++;
    perTurn.set(turn, (perTurn.get(turn) ?? 0) + 1);
  };
  const request = { path: "/work", realPath: "/work", recursive: false, exclude: [] };
  const all = Array.from({ length: 64 }, () => watches.watch(request, { report, drained: () => null }));
  await Promise.all(all);
  count();
  // All writes are in one turn of the server, so that all events wait in the kernel.
  for (let made = 0; made < 1000; made++) writeFileSync(join(root, "work", `file-${made}`), "");
  await expect.poll(() => reported).toBeGreaterThanOrEqual(64 * 1000);
  isOver = true;
  expect(Math.max(...perTurn.values())).toBeLessThanOrEqual(64 * 200);
});
