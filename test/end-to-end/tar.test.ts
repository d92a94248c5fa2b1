import { createHash, randomBytes } from "node:crypto";
import { createClient as createRivetClient } from "rivetkit/client";
import { expect, test } from "vitest";
import type { TarProgress } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { DESCRIBE_TREE, hostTar, inHostTar } from "../support/host-tar.ts";
import { madeTar } from "../support/made-tar.ts";
import { sharedServer } from "../support/servers.ts";
import { failure } from "../support/until.ts";

const server = sharedServer();
const MIB = 1024 * 1024;
const sum = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

test.each(["handle", "connection"] as const)(
  "a %s imports and exports archives larger than a message",
  { tags: ["slow"] },
  async (kind) => {
    const client = server().client();
    const handle = client.vm.getOrCreate(`tar-${kind}`);
    const vm = kind === "handle" ? handle : handle.connect();
    const content = randomBytes(40 * MIB);
    const archive = await madeTar(
      { name: "large", body: content.toString("latin1") },
      { name: "small", body: "1" },
    );
    const reports: TarProgress[] = [];
    const onProgress = (progress: TarProgress) => void reports.push(progress);
    const result = await vm.importTar(archive, "/workspace/in", { onProgress });
    expect(result).toMatchObject({ files: 2, skipped: 0 });
    expect(reports.at(-1)).toEqual({ transferred: archive.length, total: archive.length });
    expect(reports.length).toBe(Math.ceil(archive.length / (8 * MIB)));
    reports.length = 0;
    const back = await (await vm.exportTar("/workspace/in", { onProgress })).bytes();
    expect(reports.at(-1)).toEqual({ transferred: back.length, total: back.length });
    expect(reports.every(({ total }) => (total ?? 0) >= 40 * MIB)).toBe(true);
    expect(sum(Buffer.from(inHostTar(back, "sha256sum < large; cat small")))).toBe(
      sum(Buffer.from((await vm.exec("sha256sum < large; cat small", { cwd: "/workspace/in" })).stdout)),
    );
  },
);

test("imports and exports streams, and the server never holds a whole archive in memory", {
  tags: ["slow"],
}, async () => {
  const client = server().client();
  const vm = client.vm.getOrCreate("tar streams");
  const archive = hostTar("mkdir a; seq 100000 > a/numbers; ln -s a b; mkdir -m 700 empty", "--format=gnu");
  const pieces = (size: number) =>
    Array.from({ length: Math.ceil(archive.length / size) }, (_, index) =>
      archive.subarray(index * size, (index + 1) * size),
    );
  const reports: TarProgress[] = [];
  await vm.importTar(ReadableStream.from(pieces(5000)), "/workspace/stream", {
    onProgress: (progress) => void reports.push(progress),
  });
  expect(reports).toEqual([{ transferred: archive.length, total: null }]);
  await vm.importTar(pieces(777), "/workspace/pieces");
  for (const folder of ["stream", "pieces"]) {
    const { stdout } = await vm.exec(DESCRIBE_TREE, { cwd: `/workspace/${folder}` });
    expect(stdout).toBe(inHostTar(archive, DESCRIBE_TREE));
  }
  // Copies from one VM into another, piece by piece.
  const other = client.vm.getOrCreate("tar other");
  await other.importTar(await vm.exportTar("/workspace/stream"), "/workspace/copy");
  expect((await other.exec(DESCRIBE_TREE, { cwd: "/workspace/copy" })).stdout).toBe(
    inHostTar(archive, DESCRIBE_TREE),
  );
  await vm.exec("head -c 500000000 /dev/zero > /workspace/zeros");
  await vm.checkpoint();
  const before = server().residentMib();
  let most = 0;
  let bytes = 0;
  for await (const piece of await vm.exportTar("/workspace/zeros")) {
    bytes += piece.length;
    most = Math.max(most, server().residentMib());
  }
  expect(bytes).toBeGreaterThan(500_000_000);
  expect(most - before).toBeLessThan(300);
});

test("an import that fails or is aborted leaves the VM unchanged", async () => {
  const client = server().client();
  const vm = client.vm.getOrCreate("failures");
  await vm.writeFile("/workspace/mine", "mine");
  const archive = await madeTar({ name: "a", body: "x".repeat(20 * MIB) }, { name: "mine", body: "other" });
  const failing = async function* () {
    yield archive.subarray(0, 10 * MIB);
    throw new Error("the source broke");
  };
  expect(await failure(vm.importTar(failing(), "/workspace"))).toMatchObject({ message: "the source broke" });
  const stop = new AbortController();
  const aborted = vm.importTar(archive, "/workspace", {
    signal: stop.signal,
    onProgress: () => stop.abort(new Error("enough")),
  });
  expect(await failure(aborted)).toMatchObject({ message: "enough" });
  const never = new ReadableStream({ start: (controller) => controller.enqueue(archive.subarray(0, 100)) });
  const waiting = new AbortController();
  const hanging = failure(vm.importTar(never, "/workspace", { signal: waiting.signal }));
  waiting.abort(new Error("no more"));
  expect(await hanging).toMatchObject({ message: "no more" });
  for (const data of ["text", 7, null, [1, 2], ReadableStream.from(["text"])]) {
    expect(await failure(vm.importTar(data as never, "/workspace"))).toMatchObject({
      code: "invalid_argument",
      metadata: { argument: "data" },
    });
  }
  expect(await failure(vm.importTar(archive.subarray(0, 9 * MIB), "/workspace"))).toMatchObject({
    code: "invalid_archive",
    metadata: { hint: "The VM's files are unchanged." },
  });
  expect(
    (await vm.exec("ls -A; cat mine; find / -xdev -name '.agent-vm-*'", { cwd: "/workspace" })).stdout,
  ).toBe("mine\nmine");
});

test("an aborted export ends, and an error arrives before the stream", async () => {
  const client = server().client();
  const vm = client.vm.getOrCreate("exports");
  expect(await failure(vm.exportTar("/nowhere"))).toMatchObject({ code: "ENOENT" });
  await vm.exec("head -c 50000000 /dev/zero > /workspace/zeros");
  // A VM has fewer transfers than this, so each cancelled export must end its transfer.
  for (let round = 0; round < 70; round++) {
    const stream = await vm.exportTar("/workspace/zeros");
    if (round % 10 === 0) for await (const _piece of stream) break;
    else await stream.cancel();
  }
  const stop = new AbortController();
  const reader = (await vm.exportTar("/workspace", { signal: stop.signal })).getReader();
  await reader.read();
  stop.abort(new Error("enough"));
  expect(await failure(reader.read())).toMatchObject({ message: "enough" });
});

test("a plain client gets small archives whole, and an error that names the stream for larger ones", {
  tags: ["slow"],
}, async () => {
  const client = server().client();
  const vm = client.vm.getOrCreate("tar plain");
  await vm.exec("echo small > /workspace/small");
  const plain = createRivetClient<typeof registry>({ endpoint: server().endpoint }).vm.getOrCreate(
    "tar plain",
  );
  const archive = await plain.exportTar("/workspace");
  expect(inHostTar(archive, "cat small")).toBe("small\n");
  expect(await plain.importTar(archive, "/workspace/again")).toEqual({ files: 1, bytes: 6, skipped: 0 });
  await vm.exec("head -c 40000000 /dev/urandom > /workspace/large");
  for (const call of [() => plain.exportTar(), () => plain.exportSnapshot()]) {
    expect(await failure(call())).toMatchObject({ code: "response_too_large" });
  }
  const refused = (await failure(plain.snapshotRootFilesystem())) as Error;
  expect(refused).toMatchObject({ code: "response_too_large" });
  expect(refused.message).toContain("exportSnapshot() of this package's client");
  const whole = await (await vm.exportSnapshot()).bytes();
  expect(inHostTar(whole, "wc -c < workspace/large; cat workspace/small")).toBe("40000000\nsmall\n");
});
