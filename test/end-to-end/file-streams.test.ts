import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import type { StreamProgress, TransferProgress } from "../../src/client/index.ts";
import { sharedServer } from "../support/servers.ts";
import { failure, until } from "../support/until.ts";

const MIB = 1024 * 1024;
const server = sharedServer();
const vmOf = (key: string) => server().client().vm.getOrCreate(`file-streams-${key}`);
const bytesOf = async (stream: ReadableStream<Uint8Array>) =>
  Buffer.from(await new Response(stream).arrayBuffer());
const text = (data: Uint8Array) => new TextDecoder().decode(data);

test.each(["handle", "connection"] as const)(
  "a %s writes a stream, and reads a file as a stream",
  async (kind) => {
    const handle = vmOf(`streams-${kind}`);
    const vm = kind === "handle" ? handle : handle.connect();
    const data = randomBytes(20 * MIB + 7);
    const written: StreamProgress[] = [];
    const source = ReadableStream.from(
      (function* () {
        for (let at = 0; at < data.length; at += 777_777) yield data.subarray(at, at + 777_777);
      })(),
    );
    await vm.writeFile("/workspace/new/data", source, {
      onProgress: (progress) => void written.push(progress),
    });
    expect(written.map(({ transferred }) => transferred)).toEqual([8 * MIB, 16 * MIB, data.length]);
    expect(written.every(({ total }) => total === null)).toBe(true);
    expect((await vm.stat("/workspace/new/data")).size).toBe(data.length);
    const read: TransferProgress[] = [];
    const onProgress = (progress: TransferProgress) => void read.push(progress);
    const stream = await vm.readFile("/workspace/new/data", { stream: true, onProgress });
    expect(Buffer.compare(await bytesOf(stream), data)).toBe(0);
    expect(read.at(-1)).toEqual({ transferred: data.length, total: data.length });
  },
);

test.each([0, 1, 256 * 1024, 256 * 1024 + 1, 768 * 1024, 768 * 1024 + 1])(
  "%i bytes come back as they were, as bytes and as a stream",
  async (size) => {
    const vm = vmOf("sizes");
    const data = randomBytes(size);
    await vm.writeFile("/workspace/bytes", data);
    await vm.writeFile("/workspace/stream", new Blob([data]).stream());
    for (const path of ["/workspace/bytes", "/workspace/stream"]) {
      expect(Buffer.compare(await vm.readFile(path), data)).toBe(0);
      expect(Buffer.compare(await bytesOf(await vm.readFile(path, { stream: true })), data)).toBe(0);
    }
  },
);

test("a stream that fails, is aborted or has no bytes leaves the old file whole", async () => {
  const vm = vmOf("failing");
  await vm.writeFile("/workspace/data", "before");
  const failing = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new Uint8Array(9 * MIB)),
    pull: (controller) => controller.error(new Error("the source broke")),
  });
  expect((await failure(vm.writeFile("/workspace/data", failing))).message).toBe("the source broke");

  const stop = new AbortController();
  let cancelled: unknown;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(MIB)),
    cancel: (reason) => {
      cancelled = reason ?? "cancelled";
    },
  });
  const onProgress = () => stop.abort(new Error("enough"));
  const aborted = vm.writeFile("/workspace/data", endless, { signal: stop.signal, onProgress });
  expect((await failure(aborted)).message).toBe("enough");
  expect(cancelled).toBeDefined();

  const words = ReadableStream.from(["not bytes"]) as unknown as ReadableStream<Uint8Array>;
  expect(await failure(vm.writeFile("/workspace/data", words))).toMatchObject({ code: "invalid_argument" });
  expect(text(await vm.readFile("/workspace/data"))).toBe("before");
  expect((await vm.exec("ls -A /workspace")).stdout).toBe("data\n");
});

test("a stream is refused before it is read, and cancelled", async () => {
  const vm = vmOf("refused");
  let cancelled = false;
  const source = new ReadableStream<Uint8Array>({
    cancel: () => {
      cancelled = true;
    },
  });
  expect(await failure(vm.writeFile("/proc/x/y", source))).toMatchObject({ name: "AgentVmError" });
  expect(cancelled).toBe(true);
  expect(await failure(vm.readFile("/missing", { stream: true }))).toMatchObject({ code: "ENOENT" });
  expect(await failure(vm.readFile("/workspace", { stream: true }))).toMatchObject({ code: "EISDIR" });
});

test("a cancelled stream ends its transfer, and so does an aborted one", async () => {
  const vm = vmOf("cancelled");
  await vm.writeFile("/workspace/data", new Uint8Array(20 * MIB));
  const open = async () =>
    (await vm.exec("ls -l /proc/*/fd 2>/dev/null | grep -c /workspace/data || true")).stdout;
  const unread = await vm.readFile("/workspace/data", { stream: true });
  await unread.cancel();
  const begun = (await vm.readFile("/workspace/data", { stream: true })).getReader();
  await begun.read();
  await begun.read();
  await begun.cancel();
  const stop = new AbortController();
  const stopped = (await vm.readFile("/workspace/data", { stream: true, signal: stop.signal })).getReader();
  await stopped.read();
  await stopped.read();
  stop.abort(new Error("enough"));
  expect((await failure(drained(stopped))).message).toBe("enough");
  // 64 transfers may be open: the VM would refuse another one if these were.
  for (let round = 0; round < 70; round++)
    await (await vm.readFile("/workspace/data", { stream: true })).cancel();
  expect(await open()).toBe("0\n");
});

test("a written stream is durable", async () => {
  const vm = vmOf("durable");
  const data = randomBytes(3 * MIB);
  await vm.writeFile("/workspace/data", new Blob([data]).stream());
  await vm.sleep();
  expect(Buffer.compare(await vm.readFile("/workspace/data"), data)).toBe(0);
});

test("a reader that takes nothing holds little memory of the server", async () => {
  const vm = vmOf("slow");
  await vm.writeFile("/workspace/data", new Uint8Array(32 * MIB));
  const before = server().residentMib();
  const readers = await Promise.all(
    Array.from({ length: 16 }, async () =>
      (await vm.readFile("/workspace/data", { stream: true })).getReader(),
    ),
  );
  for (const reader of readers) await reader.read();
  for (const reader of readers) await reader.read();
  expect(server().residentMib() - before).toBeLessThan(64);
  await until(async () => (await vm.exec("true")).exitCode === 0);
  await Promise.all(readers.map((reader) => reader.cancel()));
});

async function drained(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  while (!(await reader.read()).done);
}
