// @module-tag any-user
import { expect, test } from "vitest";
import { changesOf, reported, run } from "../../support/file-changes.ts";
import { startVm } from "../../support/vm.ts";

test("reports changes in a directory, but not in its subdirectories", async () => {
  const machine = startVm();
  const { vm } = machine;
  await vm.exec("mkdir old; touch there", { cwd: "/workspace" });
  const id = await vm.watchFiles("/workspace");
  expect(id).toMatch(/^watch-[0-9a-f]{16}$/);
  // Changes of one name that come at once are reported as one.
  for (const [line, change] of [
    ["mkdir dir; echo x > old/below; : > file", "created /workspace/file"],
    ["echo y >> file", "modified /workspace/file"],
    ["chmod 600 there; mv file moved", "renamed /workspace/file -> /workspace/moved"],
  ] as const) {
    await vm.exec(line, { cwd: "/workspace" });
    await reported(machine, id, change);
  }
  await run(machine, id, "rm moved; rmdir dir", "end");
  expect(changesOf(machine, id)).toEqual([
    "created /workspace/dir/",
    "created /workspace/file",
    "modified /workspace/file",
    "modified /workspace/there",
    "renamed /workspace/file -> /workspace/moved",
    "deleted /workspace/moved",
    "deleted /workspace/dir/",
    "created /workspace/end/",
  ]);
});

test("reports file methods as their effect, without their temporary files", async () => {
  const machine = startVm();
  const { vm } = machine;
  const id = await vm.watchFiles("/workspace", { recursive: true });
  await vm.writeFile("/workspace/a", "one");
  await reported(machine, id, "created /workspace/a");
  await vm.writeFile("/workspace/a", "two");
  await reported(machine, id, "modified /workspace/a");
  await vm.mkdir("/workspace/b/c", { recursive: true });
  await reported(machine, id, "created /workspace/b/c/");
  // A move is reported as `renamed` only after the target directory is watched.
  await vm.writeFile("/workspace/b/c/first", "");
  await reported(machine, id, "created /workspace/b/c/first");
  await vm.delete("/workspace/b/c/first");
  await vm.move("/workspace/a", "/workspace/b/c/a");
  await reported(machine, id, "renamed /workspace/a -> /workspace/b/c/a");
  await vm.delete("/workspace/b", { recursive: true });
  await reported(machine, id, "deleted /workspace/b/");
  expect(changesOf(machine, id)).toEqual([
    "created /workspace/a",
    "modified /workspace/a",
    "created /workspace/b/",
    "created /workspace/b/c/",
    "created /workspace/b/c/first",
    "deleted /workspace/b/c/first",
    "renamed /workspace/a -> /workspace/b/c/a",
    "deleted /workspace/b/c/a",
    "deleted /workspace/b/c/",
    "deleted /workspace/b/",
  ]);
});

test("follows a watched file by its name, even if it is replaced or created again", async () => {
  const machine = startVm();
  const { vm } = machine;
  await vm.exec("echo 1 > file; touch other; ln -s file link", { cwd: "/workspace" });
  const id = await vm.watchFiles("/workspace/file");
  const byLink = await vm.watchFiles("/workspace/link");
  await vm.exec("echo 2 > other; echo 3 > tmp; mv tmp file", { cwd: "/workspace" });
  await reported(machine, id, "modified /workspace/file");
  await vm.exec("rm file", { cwd: "/workspace" });
  await reported(machine, id, "deleted /workspace/file");
  await vm.exec(": > file; mv file away", { cwd: "/workspace" });
  await expect
    .poll(() => changesOf(machine, id))
    .toEqual([
      "modified /workspace/file",
      "deleted /workspace/file",
      "created /workspace/file",
      "deleted /workspace/file",
    ]);
  expect(changesOf(machine, byLink)).toEqual([
    "modified /workspace/link",
    "deleted /workspace/link",
    "created /workspace/link",
    "deleted /workspace/link",
  ]);
});

test("an ended watch reports nothing, and other watches continue", async () => {
  const machine = startVm();
  const { vm } = machine;
  const first = await vm.watchFiles("/workspace");
  const second = await vm.watchFiles("/workspace", { exclude: ["passed"] });
  expect(await vm.listWatches()).toEqual([
    { id: first, path: "/workspace", recursive: false, exclude: [] },
    { id: second, path: "/workspace", recursive: false, exclude: ["passed"] },
  ]);
  await run(machine, second, ": > passed", "one");
  await vm.unwatchFiles(first);
  await vm.unwatchFiles(first);
  await vm.unwatchFiles("watch-unknown");
  await run(machine, second, ":", "two");
  expect(changesOf(machine, first)).toEqual(["created /workspace/passed", "created /workspace/one/"]);
  expect(changesOf(machine, second)).toEqual(["created /workspace/one/", "created /workspace/two/"]);
  expect((await vm.listWatches()).map(({ id }) => id)).toEqual([second]);
});
