// @module-tag any-user
import { expect, test } from "vitest";
import { pause } from "../../../src/base/pace.ts";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { changesOf, listing, replay, reported, run, watcherPids } from "../../support/file-changes.ts";
import { work } from "../../support/turns.ts";
import { failure } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";

test("reports overflow after the kernel has lost events, and follows all directories again", {
  tags: ["slow"],
}, async () => {
  const machine = startVm();
  const { vm } = machine;
  const id = await vm.watchFiles("/workspace", { recursive: true });
  const [pid = 0] = watcherPids();
  process.kill(pid, "SIGSTOP");
  const flood = "import os\nfor i in range(20000): os.close(os.open('f', os.O_CREAT)); os.rename('f', 'g')";
  await vm.execArgv("python3", ["-c", flood], { cwd: "/workspace" });
  await vm.exec("rm g; mkdir -p x/y late/z; : > late/z/1", { cwd: "/workspace" });
  process.kill(pid, "SIGCONT");
  await reported(machine, id, "overflow /workspace");
  await reported(machine, id, "created /workspace/late/z/1");
  await vm.exec("mv late moved; : > x/y/2; : > moved/z/3", { cwd: "/workspace" });
  await reported(machine, id, "created /workspace/x/y/2");
  await reported(machine, id, "created /workspace/moved/z/3");
  expect(replay([], changesOf(machine, id))).toEqual(await listing(vm));
  expect(changesOf(machine, id).filter((line) => line.startsWith("overflow"))).toEqual([
    "overflow /workspace",
  ]);
});

test("restarts a killed watcher, and reports the changes it has missed", async () => {
  const machine = startVm();
  const { vm } = machine;
  const id = await vm.watchFiles("/workspace", { recursive: true });
  const [pid = 0] = watcherPids();
  process.kill(pid, "SIGSTOP");
  await vm.exec("mkdir a; : > a/missed", { cwd: "/workspace" });
  process.kill(pid, "SIGKILL");
  await reported(machine, id, "created /workspace/a/missed");
  await run(machine, id, ": > a/seen", "end");
  expect(changesOf(machine, id)).toEqual([
    "overflow /workspace",
    "created /workspace/a/",
    "created /workspace/a/missed",
    "created /workspace/a/seen",
    "created /workspace/end/",
  ]);
  expect(watcherPids()).not.toContain(pid);
  await vm.unwatchFiles(id);
  await expect.poll(watcherPids).toEqual([]);
});

test("watches survive sleep, and report overflow after the boot", async () => {
  const store = new MemoryStore();
  const before = startVm({}, undefined, { store });
  await before.vm.mkdir("/workspace/kept");
  const kept = await before.vm.watchFiles("/workspace", { recursive: true, exclude: ["x"] });
  await before.vm.writeFile("/tmp/file", "gone with the VM");
  const lost = await before.vm.watchFiles("/tmp/file");
  const ended = await before.vm.watchFiles("/workspace/kept");
  await before.vm.unwatchFiles(ended);
  await before.vm.dispose("sleep");
  expect(watcherPids()).toEqual([]);

  const after = startVm({}, undefined, { store });
  expect((await after.vm.listWatches()).map(({ id }) => id)).toEqual([kept, lost]);
  await after.vm.boot();
  await reported(after, kept, "overflow /workspace");
  await reported(after, lost, "ended /tmp/file");
  await run(after, kept, "mkdir x; : > kept/new", "end");
  expect(changesOf(after, kept)).toEqual([
    "overflow /workspace",
    "created /workspace/kept/new",
    "created /workspace/end/",
  ]);
  expect(changesOf(after, lost)).toEqual(["deleted /tmp/file", "ended /tmp/file"]);
  expect(await after.vm.listWatches()).toEqual([
    { id: kept, path: "/workspace", recursive: true, exclude: ["x"] },
  ]);
});

test("reports a watch that cannot be restarted, even on a busy server", { tags: ["slow"] }, async () => {
  const store = new MemoryStore();
  const before = startVm({}, undefined, { store });
  await before.vm.writeFile("/tmp/file", "gone with the VM");
  const lost = await before.vm.watchFiles("/tmp/file");
  await before.vm.dispose("sleep");

  const after = startVm({}, undefined, { store });
  let isBusy = true;
  const busy = (async () => {
    while (isBusy) {
      await pause();
      work();
    }
  })();
  await after.vm.boot();
  await expect.poll(() => after.vm.listWatches()).toEqual([]);
  isBusy = false;
  await busy;
  await reported(after, lost, "ended /tmp/file");
  expect(changesOf(after, lost)).toEqual(["deleted /tmp/file", "ended /tmp/file"]);
});

test("the VM does not see its watcher process, and its disposal ends it", async () => {
  const machine = startVm();
  const { vm } = machine;
  await vm.watchFiles("/workspace", { recursive: true });
  expect(watcherPids()).toHaveLength(1);
  const { stdout } = await vm.exec(
    "cat /proc/[0-9]*/comm /proc/[0-9]*/cmdline | tr -d '\\0' | grep -c agentos-watche[r]",
  );
  expect(stdout).toBe("0\n");
  expect((await vm.allProcesses()).filter(({ command }) => command.includes("watcher"))).toEqual([]);
  await vm.dispose("destroy");
  expect(watcherPids()).toEqual([]);
});

test("reports overflow after a snapshot is restored", { tags: ["slow"] }, async () => {
  const machine = startVm({}, undefined, { store: new MemoryStore() });
  const { vm } = machine;
  await vm.mkdir("/workspace/a");
  const { id: snapshot } = await vm.createSnapshot();
  const id = await vm.watchFiles("/workspace", { recursive: true });
  await vm.restoreSnapshot(snapshot);
  await vm.boot();
  await reported(machine, id, "overflow /workspace");
  await run(machine, id, ": > a/file", "end");
  expect(changesOf(machine, id).at(-2)).toBe("created /workspace/a/file");
});

test("a VM that ends rejects a watch that is being started", { tags: ["slow"] }, async () => {
  const { vm } = startVm();
  await vm.boot();
  const starting = failure(vm.watchFiles("/workspace", { recursive: true }));
  await vm.dispose("destroy");
  expect(await starting).toMatchObject({ code: "vm_stopped" });
  expect(watcherPids()).toEqual([]);
});
