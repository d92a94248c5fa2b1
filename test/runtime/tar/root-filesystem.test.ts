import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { vmActor } from "../../../src/actors/vm.ts";
import type { RootSnapshotExport } from "../../../src/api/methods/snapshot-types.ts";
import { createVm } from "../../../src/runtime/create-vm.ts";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { durableVm } from "../../support/durable-vm.ts";
import { faultyStore } from "../../support/faulty-store.ts";
import { madeTar } from "../../support/made-tar.ts";
import { testFolder } from "../../support/temporary-folder.ts";
import { failure } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

function onDisk(archive: Uint8Array): string {
  const path = join(testFolder(), "root.tar");
  writeFileSync(path, archive);
  return path;
}

function snapshot(...entries: object[]): RootSnapshotExport {
  const format = "agentos-filesystem-snapshot-v1";
  return { kind: "snapshot-export", source: { format, filesystem: { entries } } } as never;
}

test("an archive's own configuration takes the place of the host's, also after a sleep", async () => {
  const rootFilesystem = onDisk(await madeTar({ name: "etc/ld.so.conf.d/own.conf", body: "own" }));
  const machine = durableVm({ rootFilesystem });
  const look = "ls -A /etc/ld.so.conf.d; test -L /etc/ld.so.conf.d; echo $?; test -L /etc/services; echo $?";
  expect((await machine.vm().exec(look)).stdout).toBe("own.conf\n1\n0\n");
  await machine.sleep();
  expect((await machine.vm().exec(look)).stdout).toBe("own.conf\n1\n0\n");
});

describe.each(["kernel", "memory"] as const)("%s", (runtime) => {
  test("a new VM starts from a snapshot of another VM", async () => {
    const { vm: first } = startVm({ runtime });
    await first.writeFile("/workspace/text", "grüße");
    await first.writeFile("/workspace/deep/bytes", new Uint8Array([0, 255, 7]));
    await first.importTar(
      await madeTar(
        { name: "run", body: "#!/bin/sh\necho ran\n", mode: 0o755 },
        { name: "link", type: "symlink", linkname: "text" },
      ),
      "/workspace",
    );
    const rootFilesystem = await first.snapshotRootFilesystem();
    const { vm } = startVm({ runtime, rootFilesystem });
    expect(await vm.readdirRecursive("/workspace")).toEqual(await first.readdirRecursive("/workspace"));
    expect(text(await vm.readFile("/workspace/link"))).toBe("grüße");
    expect(await vm.readFile("/workspace/deep/bytes")).toEqual(await first.readFile("/workspace/deep/bytes"));
    expect((await vm.stat("/workspace/run")).mode & 0o777).toBe(0o755);
    if (runtime === "kernel") expect((await vm.exec("/workspace/run; whoami")).stdout).toBe("ran\nagentos\n");
  });

  test.each([
    ["tar", (archive: Uint8Array) => archive],
    ["gzip", (archive: Uint8Array) => gzipSync(archive)],
  ])("a new VM starts from an archive (%s)", async (_form, pack) => {
    const path = onDisk(pack(await madeTar({ name: "srv/data", body: "from the archive" })));
    const options = { runtime, rootFilesystem: path };
    const vm = await createVm(options);
    expect(text(await vm.readFile("/srv/data"))).toBe("from the archive");
    await vm.writeFile("/srv/data", "changed");
    await vm.dispose("destroy");
  });
});

test("a VM that wakes keeps its own files if `rootFilesystem` has changed", async () => {
  const store = new MemoryStore();
  const one = onDisk(await madeTar({ name: "srv/a", body: "one" }, { name: "srv/b", body: "one" }));
  const first = durableVm({ rootFilesystem: one }, store);
  expect(await first.vm().readdir("/srv")).toEqual(["a", "b"]);
  // The first files are stored without an explicit checkpoint.
  await first.crash();
  rmSync(one);
  const other = snapshot({ path: "/srv/c", type: "file", mode: "0644", content: "two" });
  const second = durableVm({ rootFilesystem: other }, store);
  expect(text(await second.vm().readFile("/srv/a"))).toBe("one");
  await second.vm().delete("/srv/a");
  await second.crash();
  expect(await second.vm().readdir("/srv")).toEqual(["b"]);
  await second.crash();
  const fresh = durableVm({ rootFilesystem: other });
  expect(await fresh.vm().readdir("/srv")).toEqual(["c"]);
  await fresh.crash();
});

test("a VM that dies before its first files are stored gets them again, and an older VM keeps its own files", async () => {
  const rootFilesystem = snapshot({ path: "/srv/c", type: "file", mode: "0644", content: "two" });
  const store = new MemoryStore();
  let broken = true;
  const durable = durableVm(
    { rootFilesystem },
    faultyStore(store, (_call, method) => (broken && method === "put" ? "error" : "none")),
  );
  expect(await failure(durable.vm().readdir("/srv"))).toMatchObject({ code: "storage_failed" });
  broken = false;
  expect(await durable.vm().readdir("/srv")).toEqual(["c"]);
  await durable.crash();

  const own = durableVm();
  await own.vm().writeFile("/workspace/own", "1");
  await own.crash();
  const later = durableVm({ rootFilesystem }, own.store);
  expect(await later.vm().exists("/srv/c")).toBe(false);
  expect(await later.vm().readdir("/workspace")).toEqual(["own"]);
  await later.crash();
});

test("reports a missing or invalid archive, and the next call tries again", async () => {
  const path = join(testFolder(), "later.tar");
  const vm = await createVm({ rootFilesystem: path });
  expect(await failure(vm.readdir("/srv"))).toMatchObject({
    code: "boot_failed",
    message: `The VM's \`rootFilesystem\` could not be unpacked: ENOENT: no such file or directory, open '${path}'`,
  });
  writeFileSync(path, "no archive".repeat(100));
  expect(await failure(vm.readdir("/srv"))).toMatchObject({
    message:
      "The VM's `rootFilesystem` could not be unpacked: The archive cannot be imported: it is not a tar archive",
  });
  await vm.dispose("destroy");
  const next = await createVm({ rootFilesystem: onDisk(await madeTar({ name: "usr/bin/x", body: "1" })) });
  expect(await failure(next.exec("true"))).toMatchObject({
    code: "boot_failed",
    message: "The VM's `rootFilesystem` could not be unpacked: Path is read-only: /usr/bin/x",
  });
  await next.dispose("destroy");
  const folder = await createVm({ rootFilesystem: testFolder() });
  expect(await failure(folder.exec("true"))).toMatchObject({ code: "boot_failed" });
  await folder.dispose("destroy");
});

const NEITHER =
  "`rootFilesystem` of vmActor: must be a snapshot of snapshotRootFilesystem, or the absolute path of a tar archive on the host";
const entry = (part: string, why: string) =>
  `\`rootFilesystem.source.filesystem.entries.0.${part}\` of vmActor: ${why}`;

test.each([
  ["a relative path", "root.tar", "`rootFilesystem` of vmActor: must be an absolute path"],
  ["a number", 7, NEITHER],
  ["another kind", { kind: "other" }, NEITHER],
  ["another format", { ...snapshot(), source: { format: "v2", filesystem: { entries: [] } } }, NEITHER],
  ["an entry without a mode", snapshot({ path: "/a", type: "file" }), NEITHER],
  [
    "an invalid mode",
    snapshot({ path: "/a", type: "file", mode: "rwx" }),
    entry("mode", "must be octal, such as 0755"),
  ],
  [
    "a path with `..`",
    snapshot({ path: "/../a", type: "file", mode: "0644" }),
    entry("path", "must be normalized"),
  ],
  [
    "a link without a target",
    snapshot({ path: "/a", type: "symlink", mode: "0777" }),
    entry("target", "must be the path that the link leads to"),
  ],
])("vmActor() refuses %s", (_name, rootFilesystem, message) => {
  expect(() => vmActor({ rootFilesystem: rootFilesystem as never })).toThrow(`Invalid option ${message}`);
});

test("accepts both names of a snapshot's format", () => {
  for (const format of ["agent-os-filesystem-snapshot-v1", "agentos-filesystem-snapshot-v1"] as const) {
    const source = { format, filesystem: { entries: [] } };
    expect(vmActor({ rootFilesystem: { kind: "snapshot-export", source } })).toBeDefined();
  }
});
