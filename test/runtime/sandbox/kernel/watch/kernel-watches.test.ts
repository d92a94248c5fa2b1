import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { findTool } from "../../../../../src/runtime/sandbox/kernel/tools.ts";
import {
  KernelWatches,
  type KernelWatchesParts,
} from "../../../../../src/runtime/sandbox/kernel/watch/kernel-watches.ts";
import type { FileWatchChange } from "../../../../../src/runtime/sandbox/sandbox.ts";
import { temporaryFolder } from "../../../../support/temporary-folder.ts";
import { failure } from "../../../../support/until.ts";

const folder = temporaryFolder();

const O_PATH = 0o10000000;

/** Watches over a folder of the host that stands for a VM's root. */
function watchesOver(limits: Partial<KernelWatchesParts>) {
  const root = mkdtempSync(join(folder, "root-"));
  mkdirSync(join(root, "work"));
  const rootFd = openSync(root, O_PATH | constants.O_DIRECTORY);
  const watches = new KernelWatches({ rootFd, owner: null, perl: findTool("perl"), ...limits });
  onTestFinished(async () => {
    await watches.close();
    closeSync(rootFd);
  });
  const changes: FileWatchChange[] = [];
  const watch = (path = "/work") =>
    watches.watch(
      { path, realPath: path, recursive: true, exclude: [] },
      { tell: (change) => void changes.push(change), drained: () => null },
    );
  const until = (type: string, path: string) =>
    expect.poll(() => changes.some((change) => change.type === type && change.path === path)).toBe(true);
  return { root, watches, changes, watch, until };
}

test("directories above the limit are not followed, and that is told", async () => {
  // The one above, the watched one, and two below.
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
  // What goes makes room.
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

test("files above the limit are not known, and that is told", async () => {
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

test("a host without perl is told what it lacks", async () => {
  const { watch } = watchesOver({ perl: undefined });
  expect(await failure(watch())).toMatchObject({
    code: "watch_unavailable",
    message: "Files cannot be watched: the server's host has no perl",
    metadata: { hint: "Install perl on the server's host, and see `npm run doctor`." },
  });
});

test("a watcher that ends at once, again and again, ends its watches", async () => {
  const { watch } = watchesOver({ perl: "/bin/false" });
  expect(await failure(watch())).toMatchObject({ code: "watch_unavailable" });
});

test("the more watches there are, the fewer events they are told of in one turn", async () => {
  const { root, watches } = watchesOver({});
  let turn = 0;
  let told = 0;
  let isOver = false;
  const count = () => {
    turn++;
    if (!isOver) setImmediate(count);
  };
  const perTurn = new Map<number, number>();
  const tell = () => {
    told++;
    perTurn.set(turn, (perTurn.get(turn) ?? 0) + 1);
  };
  const request = { path: "/work", realPath: "/work", recursive: false, exclude: [] };
  const all = Array.from({ length: 64 }, () => watches.watch(request, { tell, drained: () => null }));
  await Promise.all(all);
  count();
  // In one turn of the server, so that all of it waits in the kernel.
  for (let made = 0; made < 1000; made++) writeFileSync(join(root, "work", `file-${made}`), "");
  await expect.poll(() => told, { timeout: 20_000 }).toBeGreaterThanOrEqual(64 * 1000);
  isOver = true;
  expect(Math.max(...perTurn.values())).toBeLessThanOrEqual(64 * 200);
});
