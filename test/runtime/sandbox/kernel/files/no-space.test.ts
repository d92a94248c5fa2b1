// @module-tag any-user
import { afterEach, beforeEach, expect, test } from "vitest";
import { Files } from "../../../../../src/runtime/filesystem/files.ts";
import { FileTransfers } from "../../../../../src/runtime/transfers/file-transfers.ts";
import { failure, posix, text } from "../../../filesystem/file-systems.ts";
import { type NamespaceRoot, noNamespaces, openNamespaceRoot } from "./namespace-root.ts";

const MIB = 1024 * 1024;

if (noNamespaces !== null) console.warn(`skipped: ${noNamespaces}`);

test.skipIf(noNamespaces !== null).each([
  ["small pieces", 200 * 1024],
  ["one large write", 2 * MIB],
])("a full tmpfs refuses %s, and the old file stays without a temporary one", async (_title, size) => {
  const files = new Files(vm.fs);
  await files.writeFile("/keep", "old content");
  let result: { code: string; message: string } | undefined;
  for (let index = 0; result === undefined && index < 20; index++)
    result = await files.writeFile(`/fill-${index}`, new Uint8Array(size)).then(
      () => undefined,
      ({ code, message }) => ({ code, message }),
    );
  expect(result?.code).toBe("ENOSPC");
  expect(result?.message).toMatch(/^ENOSPC: no space left on device, write '\/fill-\d+'$/);
  await vm.run("head -c 2000000 /dev/zero > rest 2>&1 || true");
  expect(await failure(files.writeFile("/keep", new Uint8Array(size)))).toEqual(
    posix("ENOSPC: no space left on device, write '/keep'"),
  );
  expect(text(await files.readFile("/keep"))).toBe("old content");
  expect(vm.run("ls -A | grep -c agent-vm || true")).toBe("0\n");
  await files.delete("/rest");
  await files.writeFile("/keep", "new content");
  expect(text(await files.readFile("/keep"))).toBe("new content");
});

test.skipIf(noNamespaces !== null)("a transfer that does not fit leaves no file", async () => {
  const transfers = new FileTransfers(vm.fs);
  const { transferId } = await transfers.beginFileWrite("/large", 4 * MIB);
  expect(await failure(transfers.writeFileChunk(transferId, 0, new Uint8Array(4 * MIB)))).toEqual(
    posix("ENOSPC: no space left on device, write '/large'"),
  );
  await transfers.endFileTransfer(transferId);
  expect(vm.run("ls -A")).toBe("");
  await transfers.dispose();
});

test.skipIf(noNamespaces !== null)("a tmpfs without inodes refuses every new file", async () => {
  const files = new Files(vm.fs);
  await vm.run("for i in $(seq 100); do touch inode-$i 2>&1 || break; done");
  expect(await failure(files.writeFile("/new", ""))).toEqual(
    posix("ENOSPC: no space left on device, open '/new'"),
  );
  expect(await failure(files.writeFile("/inode-1", "x"))).toEqual(
    posix("ENOSPC: no space left on device, open '/inode-1'"),
  );
  expect(await failure(files.mkdir("/new"))).toEqual(posix("ENOSPC: no space left on device, mkdir '/new'"));
  expect(await failure(vm.fs.symlink("x", "/new"))).toEqual(
    posix("ENOSPC: no space left on device, symlink 'x' -> '/new'"),
  );
  await files.delete("/inode-2");
  await files.writeFile("/inode-1", "x");
  await files.mkdir("/new");
});

let vm: NamespaceRoot;

beforeEach(async () => {
  if (noNamespaces === null) vm = await openNamespaceRoot();
});

afterEach(async () => {
  if (noNamespaces === null) await vm.dispose();
});
