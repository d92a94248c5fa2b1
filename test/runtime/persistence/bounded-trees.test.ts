// @module-tag attack
import { expect, test } from "vitest";
import type { Vm } from "../../../src/runtime/vm.ts";
import { durableVm } from "../../support/durable-vm.ts";

/** Makes a chain of directories, and files in the last one. */
async function makeChain(vm: Vm, depth: number, name: string, files: number): Promise<void> {
  const program = [
    "import os",
    "d = os.open('/workspace', os.O_RDONLY)",
    `for i in range(${depth}):`,
    `  os.mkdir(${name}, dir_fd=d); e = os.open(${name}, os.O_RDONLY, dir_fd=d); os.close(d); d = e`,
    `for i in range(${files}): os.close(os.open('f%d' % i, os.O_CREAT | os.O_WRONLY, dir_fd=d))`,
  ].join("\n");
  expect(await vm.execArgv("python3", ["-c", program])).toMatchObject({ exitCode: 0, stderr: "" });
}

test("a checkpoint of a deep tree takes time and memory by its files, not by its depth", async () => {
  const machine = durableVm();
  await makeChain(machine.vm(), 2000, "'d'", 500);
  const cpu = process.cpuUsage();
  expect(await machine.vm().checkpoint()).toMatchObject({ unreadable: [] });
  const { user, system } = process.cpuUsage(cpu);
  // Walks from the root took 22 s.
  expect((user + system) / 1e6).toBeLessThan(10);
  await machine.sleep();
  const { stdout } = await machine.vm().exec("find /workspace -name 'f*' | wc -l");
  expect(stdout).toBe("500\n");
});

test("extended attributes below a path longer than PATH_MAX survive", async () => {
  const machine = durableVm();
  await makeChain(machine.vm(), 30, "'n' * 250", 1);
  const walk = "import os\nwhile 1:\n  try: os.chdir('n' * 250)\n  except OSError: break\n";
  const set = `os.chdir('/workspace')\n${walk}os.setxattr('f0', 'user.deep', b'1')`;
  const get = `os.chdir('/workspace')\n${walk}print(os.getxattr('f0', 'user.deep'))`;
  const python = (line: string) => machine.vm().execArgv("python3", ["-c", `import os\n${line}`]);
  expect(await python(set)).toMatchObject({ exitCode: 0, stderr: "" });
  expect(await machine.vm().checkpoint()).toMatchObject({ unreadable: [] });
  await machine.sleep();
  expect((await python(get)).stdout).toBe("b'1'\n");
});

test("a tree of deep long names costs the names, not the paths, in checkpoints, diffs, undo and restores", {
  tags: ["slow"],
}, async () => {
  const machine = durableVm();
  await makeChain(machine.vm(), 600, "'n' * 255", 2000);
  const { rss } = process.memoryUsage();
  const { id } = await machine.vm().createSnapshot();
  const change = "import os\nos.chdir('/workspace')\nfor i in range(600): os.chdir('n' * 255)\n";
  const python = (line: string) => machine.vm().execArgv("python3", ["-c", `${change}${line}`]);
  await python("open('f0', 'w').write('changed'); os.remove('f1'); os.mkdir('f2.d')");
  expect((await machine.vm().diff(id)).map(({ change: kind }) => kind).sort()).toEqual([
    "added",
    "deleted",
    "modified",
  ]);
  expect(await machine.vm().undo(["/workspace"], id)).toEqual([{ path: "/workspace", restored: 2601 }]);
  expect(await machine.vm().diff(id)).toEqual([]);
  await machine.sleep();
  expect((await python("print(len(os.listdir()))")).stdout).toBe("2000\n");
  await machine.vm().restoreSnapshot(id);
  expect((await python("print(len(os.listdir()))")).stdout).toBe("2000\n");
  expect(process.memoryUsage().rss - rss).toBeLessThan(300e6);
});
