import { expect, test } from "vitest";
import { createSandboxFactory } from "../../../src/runtime/sandbox/factory.ts";
import { pause } from "../../../src/runtime/sandbox/pace.ts";
import { MemoryStore } from "../../../src/runtime/store.ts";
import { listing, replay, run, tells, told, watcherPids } from "../../support/file-changes.ts";
import { work } from "../../support/turns.ts";
import { failure } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";

test("where the kernel has lost events that is told, and all directories are followed again", async () => {
  const machine = startVm();
  const { vm } = machine;
  const id = await vm.watchFiles("/workspace", { recursive: true });
  const [pid = 0] = watcherPids();
  process.kill(pid, "SIGSTOP");
  const flood = "import os\nfor i in range(20000): os.close(os.open('f', os.O_CREAT)); os.rename('f', 'g')";
  await vm.execArgv("python3", ["-c", flood], { cwd: "/workspace" });
  await vm.exec("rm g; mkdir -p x/y late/z; : > late/z/1", { cwd: "/workspace" });
  process.kill(pid, "SIGCONT");
  await tells(machine, id, "overflow /workspace");
  await tells(machine, id, "created /workspace/late/z/1");
  await vm.exec("mv late moved; : > x/y/2; : > moved/z/3", { cwd: "/workspace" });
  await tells(machine, id, "created /workspace/x/y/2");
  await tells(machine, id, "created /workspace/moved/z/3");
  expect(replay([], told(machine, id))).toEqual(await listing(vm));
  expect(told(machine, id).filter((line) => line.startsWith("overflow"))).toEqual(["overflow /workspace"]);
});

test("a watcher that something kills is started again, and what was missed meanwhile is told", async () => {
  const machine = startVm();
  const { vm } = machine;
  const id = await vm.watchFiles("/workspace", { recursive: true });
  const [pid = 0] = watcherPids();
  process.kill(pid, "SIGSTOP");
  await vm.exec("mkdir a; : > a/missed", { cwd: "/workspace" });
  process.kill(pid, "SIGKILL");
  await tells(machine, id, "created /workspace/a/missed");
  await run(machine, id, ": > a/seen", "end");
  expect(told(machine, id)).toEqual([
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

test("watches survive sleep and crash, and say that they may have missed something", async () => {
  const store = new MemoryStore();
  const before = startVm({}, createSandboxFactory, { store });
  await before.vm.mkdir("/workspace/kept");
  const kept = await before.vm.watchFiles("/workspace", { recursive: true, exclude: ["x"] });
  await before.vm.writeFile("/tmp/file", "gone with the VM");
  const lost = await before.vm.watchFiles("/tmp/file");
  const ended = await before.vm.watchFiles("/workspace/kept");
  await before.vm.unwatchFiles(ended);
  await before.vm.dispose("sleep");
  expect(watcherPids()).toEqual([]);

  const after = startVm({}, createSandboxFactory, { store });
  expect((await after.vm.listWatches()).map(({ id }) => id)).toEqual([kept, lost]);
  await after.vm.boot();
  await tells(after, kept, "overflow /workspace");
  await tells(after, lost, "ended /tmp/file");
  await run(after, kept, "mkdir x; : > kept/new", "end");
  expect(told(after, kept)).toEqual([
    "overflow /workspace",
    "created /workspace/kept/new",
    "created /workspace/end/",
  ]);
  expect(told(after, lost)).toEqual(["deleted /tmp/file", "ended /tmp/file"]);
  expect(await after.vm.listWatches()).toEqual([
    { id: kept, path: "/workspace", recursive: true, exclude: ["x"] },
  ]);
});

test("that a watch could not be made again is told, however busy the server is", async () => {
  const store = new MemoryStore();
  const before = startVm({}, createSandboxFactory, { store });
  await before.vm.writeFile("/tmp/file", "gone with the VM");
  const lost = await before.vm.watchFiles("/tmp/file");
  await before.vm.dispose("sleep");

  const after = startVm({}, createSandboxFactory, { store });
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
  await tells(after, lost, "ended /tmp/file");
  expect(told(after, lost)).toEqual(["deleted /tmp/file", "ended /tmp/file"]);
});

test("a watch is no process of the VM, and does not keep it from being quiet", async () => {
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

test("a snapshot that is restored is told as something to look at anew", async () => {
  const machine = startVm({}, createSandboxFactory, { store: new MemoryStore() });
  const { vm } = machine;
  await vm.mkdir("/workspace/a");
  const { id: snapshot } = await vm.createSnapshot();
  const id = await vm.watchFiles("/workspace", { recursive: true });
  await vm.restoreSnapshot(snapshot);
  await vm.boot();
  await tells(machine, id, "overflow /workspace");
  await run(machine, id, ": > a/file", "end");
  expect(told(machine, id).at(-2)).toBe("created /workspace/a/file");
});

test("a VM that ends refuses a watch that was being made", async () => {
  const { vm } = startVm();
  await vm.boot();
  const making = failure(vm.watchFiles("/workspace", { recursive: true }));
  await vm.dispose("destroy");
  expect(await making).toMatchObject({ code: "vm_stopped" });
  expect(watcherPids()).toEqual([]);
});
