// @module-tag any-user
import { expect, test } from "vitest";
import { changesOf, listing, replay, reported, run } from "../../support/file-changes.ts";
import { startVm } from "../../support/vm.ts";

test("follows new directories, and reports files made in them before they were watched", async () => {
  const machine = startVm();
  const { vm } = machine;
  await vm.exec("mkdir -p a/b/c", { cwd: "/workspace" });
  const id = await vm.watchFiles("/workspace", { recursive: true });
  await run(machine, id, "mkdir -p x/y/z; touch x/y/z/1; echo 2 > a/b/c/2", "end");
  await reported(machine, id, "created /workspace/x/y/z/1");
  await vm.exec("touch x/y/z/3; mkdir a/b/c/d; touch a/b/c/d/4", { cwd: "/workspace" });
  await reported(machine, id, "created /workspace/x/y/z/3");
  await reported(machine, id, "created /workspace/a/b/c/d/4");
  const before = ["/workspace/a/", "/workspace/a/b/", "/workspace/a/b/c/"];
  expect(replay(before, changesOf(machine, id))).toEqual(await listing(vm));
});

test("reports files in a moved directory under their new path", async () => {
  const machine = startVm();
  const { vm } = machine;
  await vm.exec("mkdir -p a/b/c d; touch a/b/c/file", { cwd: "/workspace" });
  await vm.exec("mkdir -p /tmp/out/in; touch /tmp/out/in/new", { cwd: "/workspace" });
  const id = await vm.watchFiles("/workspace", { recursive: true });
  await vm.exec("mv a d/e", { cwd: "/workspace" });
  await reported(machine, id, "renamed /workspace/a/ -> /workspace/d/e/");
  await run(machine, id, "echo x > d/e/b/c/file; : > d/e/b/c/other", "one");
  await vm.exec("mv d/e/b /tmp/b; mv /tmp/out a", { cwd: "/workspace" });
  await reported(machine, id, "created /workspace/a/in/new");
  await run(machine, id, "true", "two");
  await run(machine, id, ": > /tmp/b/c/unseen; : > a/in/seen", "three");
  expect(changesOf(machine, id)).toEqual([
    "renamed /workspace/a/ -> /workspace/d/e/",
    "modified /workspace/d/e/b/c/file",
    "created /workspace/d/e/b/c/other",
    "created /workspace/one/",
    "deleted /workspace/d/e/b/",
    "created /workspace/a/",
    "created /workspace/a/in/",
    "created /workspace/a/in/new",
    "created /workspace/two/",
    "created /workspace/a/in/seen",
    "created /workspace/three/",
  ]);
});

test("leaves out excluded names at any depth, with everything below", async () => {
  const machine = startVm();
  const { vm } = machine;
  const id = await vm.watchFiles("/workspace", { recursive: true, exclude: ["node_modules", ".git"] });
  await run(
    machine,
    id,
    "mkdir -p src/node_modules/x node_modules .git; : > src/a; : > src/node_modules/x/y; : > .git/HEAD; sleep 0.1; mv src/a .git/a; mv src/node_modules src/seen",
    "end",
  );
  await reported(machine, id, "created /workspace/src/seen/x/y");
  expect(changesOf(machine, id).toSorted()).toEqual([
    "created /workspace/end/",
    "created /workspace/src/",
    "created /workspace/src/a",
    "created /workspace/src/seen/",
    "created /workspace/src/seen/x/",
    "created /workspace/src/seen/x/y",
    "deleted /workspace/src/a",
  ]);
});

test("reports that the watched directory was deleted, created again and ended", {
  tags: ["slow"],
}, async () => {
  const machine = startVm();
  const { vm } = machine;
  await vm.exec("mkdir -p home/project/src", { cwd: "/workspace" });
  const id = await vm.watchFiles("/workspace/home/project", { recursive: true });
  const seen = (line: string) => reported(machine, id, line);
  await vm.exec("rm -r home/project", { cwd: "/workspace" });
  await seen("deleted /workspace/home/project/");
  await vm.exec("mkdir -p home/project/lib", { cwd: "/workspace" });
  await seen("created /workspace/home/project/lib/");
  // The watch follows and lists a new directory a moment after it has reported it.
  await vm.exec(": > home/project/lib/file", { cwd: "/workspace" });
  await seen("created /workspace/home/project/lib/file");
  await vm.exec("rm -r home", { cwd: "/workspace" });
  await seen("ended /workspace/home/project");
  expect(changesOf(machine, id)).toEqual([
    "deleted /workspace/home/project/src/",
    "deleted /workspace/home/project/",
    "created /workspace/home/project/",
    "created /workspace/home/project/lib/",
    "created /workspace/home/project/lib/file",
    "deleted /workspace/home/project/lib/file",
    "deleted /workspace/home/project/lib/",
    "deleted /workspace/home/project/",
    "ended /workspace/home/project",
  ]);
  expect(await vm.listWatches()).toEqual([]);
});

test("reports all changes of git", { tags: ["slow"] }, async () => {
  const machine = startVm();
  const { vm } = machine;
  const id = await vm.watchFiles("/workspace", { recursive: true });
  const { exitCode } = await vm.exec(
    [
      "git init -q repo && cd repo && git config user.email a@b && git config user.name a",
      "mkdir -p src/lib && seq 1 300 | split -l 1 - src/lib/f && git add . && git commit -qm one",
      "git checkout -qb other && git mv src/lib moved && git commit -qm two && git checkout -q -",
      "cd .. && git clone -q repo copy && rm -rf repo",
    ].join(" && "),
    { cwd: "/workspace" },
  );
  expect(exitCode).toBe(0);
  const there = await listing(vm);
  await expect.poll(() => replay([], changesOf(machine, id))).toEqual(there);
  expect(changesOf(machine, id).filter((line) => line.startsWith("overflow"))).toEqual([]);
});

/** Creates, moves, exchanges and removes entries at random without pause. */
const CHURN = `
import ctypes, os, random, shutil, sys
random.seed(int(sys.argv[1]))
libc = ctypes.CDLL(None, use_errno=True)
os.chdir('/workspace')
names = ['a', 'b', 'c', 'd']
def path():
    return '/'.join(random.choice(names) for _ in range(random.randint(1, 4)))
for _ in range(3000):
    kind = random.random()
    one, two = path(), path()
    try:
        if kind < 0.3: os.makedirs(one)
        elif kind < 0.5: open(one, 'a').write('x')
        elif kind < 0.8: os.rename(one, two)
        elif kind < 0.9: libc.renameat2(-100, one.encode(), -100, two.encode(), 2)
        elif os.path.isdir(one): shutil.rmtree(one)
        else: os.unlink(one)
    except OSError: pass
`;

import { testRows } from "../../support/rows.ts";

testRows([[1], [2], [3], [4], [5], [6]], 1)(
  "after random changes, replaying the events gives the actual tree (seed %d)",
  async (seed) => {
    const machine = startVm();
    const { vm } = machine;
    await vm.exec("mkdir -p a/b c/d", { cwd: "/workspace" });
    const before = await listing(vm);
    const id = await vm.watchFiles("/workspace", { recursive: true });
    expect(await vm.execArgv("python3", ["-c", CHURN, String(seed)])).toMatchObject({
      exitCode: 0,
      stderr: "",
    });
    const there = await listing(vm);
    await expect.poll(() => replay(before, changesOf(machine, id))).toEqual(there);
    // The watch still follows every directory under its current path.
    await vm.exec("find . -type d -exec touch {}/last ';'", { cwd: "/workspace" });
    const after = await listing(vm);
    await expect.poll(() => replay(before, changesOf(machine, id))).toEqual(after);
  },
);
