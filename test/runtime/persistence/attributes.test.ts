// @module-tag any-user
import { expect, test } from "vitest";
import {
  decodeEntries,
  encodeRows,
  rowOf,
  type TreeEntry,
} from "../../../src/runtime/persistence/entries.ts";
import { placeOf, StepReader, StepWriter } from "../../../src/runtime/sandbox/tree-path.ts";
import type { Vm } from "../../../src/runtime/vm.ts";
import { durableVm } from "../../support/durable-vm.ts";

/** Lists the attributes of paths below /workspace with python, a line for each path. */
async function shown(vm: Vm, ...paths: string[]): Promise<string> {
  const program = [
    "import os, sys",
    "for path in sys.argv[1:]:",
    "  print(path, sorted((name, os.getxattr(path, name)) for name in os.listxattr(path)))",
  ].join("\n");
  const { stdout, stderr } = await vm.execArgv("python3", ["-c", program, ...paths], { cwd: "/workspace" });
  return stdout + stderr;
}

async function python(vm: Vm, ...lines: string[]): Promise<void> {
  const program = ["import os", "os.chdir('/workspace')", ...lines].join("\n");
  expect(await vm.execArgv("python3", ["-c", program])).toMatchObject({ exitCode: 0, stderr: "" });
}

test("extended attributes of files and directories survive sleep and crash", async () => {
  const machine = durableVm();
  await python(
    machine.vm(),
    "open('plain', 'w').close()",
    "open('file', 'w').write('text')",
    "os.setxattr('file', 'user.mime', b'text/plain')",
    "os.setxattr('file', 'user.empty', b'')",
    "os.setxattr('file', 'user.bytes', bytes(range(256)))",
    "os.link('file', 'second-name')",
    "os.mkdir('folder')",
    "os.setxattr('folder', 'user.color', b'red')",
    "open('closed', 'w').close()",
    "os.setxattr('closed', 'user.12', b'34')",
    "os.chmod('closed', 0o444)",
  );
  const paths = ["plain", "file", "second-name", "folder", "closed"];
  const before = await shown(machine.vm(), ...paths);
  expect(before).toContain("folder [('user.color', b'red')]\nclosed [('user.12', b'34')]\n");
  expect(before).toContain("plain []\n");
  await machine.sleep();
  expect(await shown(machine.vm(), ...paths)).toBe(before);
  expect((await machine.vm().exec("stat -c '%a %h' closed file", { cwd: "/workspace" })).stdout).toBe(
    "444 1\n644 2\n",
  );

  // Only attributes change.
  await python(
    machine.vm(),
    "os.removexattr('file', 'user.mime')",
    "os.setxattr('plain', 'user.new', b'1')",
    "os.setxattr('folder', 'user.color', b'blue')",
  );
  const changed = await shown(machine.vm(), ...paths);
  await machine.vm().checkpoint();
  await machine.crash();
  expect(await shown(machine.vm(), ...paths)).toBe(changed);
  await machine.vm().checkpoint();
  await machine.sleep();
  expect(await shown(machine.vm(), ...paths)).toBe(changed);
});

test("snapshots and undo restore extended attributes and remove new ones", async () => {
  const vm = durableVm().vm();
  await python(
    vm,
    "os.makedirs('a/b')",
    "open('a/file', 'w').write('1')",
    "os.setxattr('a/file', 'user.x', b'file')",
    "os.setxattr('a', 'user.x', b'a')",
  );
  const { id } = await vm.createSnapshot();
  const before = await shown(vm, "a", "a/b", "a/file");
  const spoil = [
    "open('a/file', 'w').write('2')",
    "os.setxattr('a/file', 'user.x', b'other')",
    "os.setxattr('a/file', 'user.y', b'more')",
    "os.removexattr('a', 'user.x')",
    "os.setxattr('a/b', 'user.z', b'more')",
  ];
  await python(vm, ...spoil);
  await vm.undo(["/workspace/a"], id);
  expect(await shown(vm, "a", "a/b", "a/file")).toBe(before);
  await python(vm, ...spoil);
  await vm.restoreSnapshot(id);
  expect(await shown(vm, "a", "a/b", "a/file")).toBe(before);
});

test("checkpoint lists a file with too large attributes as unreadable and stores its content", async () => {
  const machine = durableVm();
  await python(
    machine.vm(),
    "open('large', 'w').write('text')",
    "open('fits', 'w').close()",
    "os.setxattr('large', 'user.a', b'a' * 40000)",
    "os.setxattr('large', 'user.b', b'b' * 40000)",
    "os.setxattr('fits', 'user.a', b'a' * 40000)",
  );
  expect((await machine.vm().checkpoint()).unreadable).toEqual(["/workspace/large"]);
  await machine.sleep();
  expect(await shown(machine.vm(), "large")).toBe("large []\n");
  expect(await shown(machine.vm(), "fits")).toBe(`fits [('user.a', b'${"a".repeat(40_000)}')]\n`);
  expect((await machine.vm().exec("cat /workspace/large")).stdout).toBe("text");
});

test("an entry's row has its attributes; rows without attributes have the old form", () => {
  const common = { mode: 0o644, mtimeMs: 1.5 };
  const chunks = [{ pack: 1, offset: 2, length: 3, hash: "h" }];
  const attributes = [{ name: "user.x", value: Buffer.from([0, 255]) }];
  const plain: TreeEntry[] = [
    { type: "directory", place: placeOf("/d"), ...common },
    { type: "symlink", place: placeOf("/l"), ...common, target: "t" },
    { type: "file", place: placeOf("/f"), ...common, size: 3, chunks },
    { type: "file", place: placeOf("/g"), ...common, size: 3, chunks, links: 7 },
  ];
  const encode = (entries: TreeEntry[]) => {
    const steps = new StepWriter();
    return encodeRows(entries.map((entry) => rowOf(entry, steps)));
  };
  const rows =
    '[["d","/d",420,1.5],["l","/l",420,1.5,"t"],["f","/f",420,1.5,3,[[1,2,3,"h"]]],["f","/g",420,1.5,3,[[1,2,3,"h"]],7]]';
  expect(Buffer.from(encode(plain)).toString()).toBe(rows);
  expect(decodeEntries(Buffer.from(rows), new StepReader())).toEqual(plain);
  const rich = plain.map((entry) => (entry.type === "symlink" ? entry : { ...entry, attributes }));
  expect(decodeEntries(encode(rich), new StepReader())).toEqual(rich);
});

test("a checkpoint stores directories whose paths are too long for one system call", async () => {
  const machine = durableVm();
  await python(
    machine.vm(),
    "open('file', 'w').close()",
    "os.setxattr('file', 'user.x', b'1')",
    "for level in range(260):",
    "  os.mkdir('a' * 255); os.chdir('a' * 255)",
  );
  expect((await machine.vm().checkpoint()).unreadable).toEqual([]);
  expect(await shown(machine.vm(), "file")).toBe("file [('user.x', b'1')]\n");
});
