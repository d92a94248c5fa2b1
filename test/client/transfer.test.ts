import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TransferProgress } from "../../src/client/index.ts";
import { testRows } from "../support/rows.ts";
import { type FakeServer, startTestServer } from "../support/servers.ts";
import { tcpProxy } from "../support/tcp-proxy.ts";
import { failure } from "../support/until.ts";

const MIB = 1024 * 1024;
let server: FakeServer;
beforeAll(async () => {
  server = await startTestServer({ kind: "fake" });
});
afterAll(() => server.stop());

/** Makes bytes that differ from MiB to MiB, so that a misplaced piece is found. */
function pattern(size: number): Uint8Array {
  const block = Uint8Array.from({ length: MIB }, (_, index) => (index * 7 + (index >> 8)) % 256);
  const data = new Uint8Array(size);
  for (let offset = 0; offset < size; offset += MIB) {
    data.set(block.subarray(0, size - offset), offset);
    data[offset] = offset / MIB;
  }
  return data;
}
const vms = (key: string) => {
  const agent = server.client().vm.getOrCreate(key);
  return { handle: agent, connection: agent.connect() };
};

describe.each(["handle", "connection"] as const)("files on a %s", (kind) => {
  testRows([[0], [1], [8 * MIB + 1], [8 * MIB], [20 * MIB], [32 * MIB + 12_345]], 3)(
    "of %i bytes come back as they were",
    async (size) => {
      const vm = vms(`files-${kind}`)[kind];
      const data = pattern(size);
      await vm.writeFile("/data", data);
      const back = await vm.readFile("/data");
      expect(back.byteLength).toBe(size);
      expect(Buffer.compare(back, data)).toBe(0);
    },
  );

  test("reports progress after each piece", async () => {
    const vm = vms(`progress-${kind}`)[kind];
    const total = 20 * MIB;
    const told: TransferProgress[] = [];
    await vm.writeFile("/data", pattern(total), { onProgress: (progress) => told.push(progress) });
    const pieces = [8 * MIB, 16 * MIB, 20 * MIB];
    expect(told.map(({ transferred }) => transferred).at(-1)).toBe(total);
    expect(told).toHaveLength(pieces.length);
    expect(told.every((progress) => progress.total === total)).toBe(true);
    told.length = 0;
    await vm.readFile("/data", { onProgress: (progress) => told.push(progress) });
    expect(told).toHaveLength(pieces.length);
    expect(told.at(-1)).toEqual({ transferred: total, total });
  });

  test("a signal cancels a transfer and leaves nothing behind", async () => {
    const vm = vms(`abort-${kind}`)[kind];
    await vm.writeFile("/data", "before");
    const stop = new AbortController();
    const write = vm.writeFile("/data", pattern(20 * MIB), {
      signal: stop.signal,
      onProgress: () => stop.abort(new Error("enough")),
    });
    expect((await failure(write)).message).toBe("enough");
    expect(new TextDecoder().decode(await vm.readFile("/data"))).toBe("before");
    expect(server.vms.all.at(-1)?.openTransfers).toBe(0);
  });
});

test("text is sent as UTF-8, also in pieces", async () => {
  const { handle } = vms("text");
  const text = "ä€🙂".repeat(MIB);
  await handle.writeFile("/text", text);
  expect(new TextDecoder().decode(await handle.readFile("/text"))).toBe(text);
});

test("a transfer survives a broken connection", async () => {
  const proxy = await tcpProxy(server.port);
  const connection = server.client({ endpoint: proxy.endpoint }).vm.getOrCreate("broken-transfer").connect();
  const data = pattern(40 * MIB);
  let cuts = 0;
  const cut = ({ transferred }: TransferProgress) => {
    if (transferred < 24 * MIB || cuts > 0) return;
    cuts += 1;
    proxy.cut();
  };
  await connection.writeFile("/data", data, { onProgress: cut });
  cuts = 0;
  expect(Buffer.compare(await connection.readFile("/data", { onProgress: cut }), data)).toBe(0);
  expect(cuts).toBe(1);
  await connection.dispose();
  await proxy.close();
});

test("a handle stays usable after client.dispose(), also for large files and tunnels", async () => {
  const client = server.client();
  const handle = client.vm.getOrCreate("disposed-transfer");
  const data = pattern(24 * MIB);
  const cut = failure(
    handle.writeFile("/cut", data, {
      onProgress: ({ transferred }) => {
        if (transferred < data.byteLength) void client.dispose();
      },
    }),
  );
  expect(await cut).toMatchObject({ code: "connection_lost", message: "The client was disposed" });
  await handle.writeFile("/data", data);
  expect(Buffer.compare(await handle.readFile("/data"), data)).toBe(0);
  await client.dispose();
});

test("errors carry the file system's codes", async () => {
  const { handle, connection } = vms("errors");
  for (const vm of [handle, connection]) {
    expect(await failure(vm.readFile("/missing"))).toMatchObject({ name: "AgentVmError", code: "ENOENT" });
    expect(await failure(vm.writeFile("/x", 5 as unknown as string))).toMatchObject({
      code: "invalid_argument",
      message: "Expected `content` to be a string, bytes, a Blob or a ReadableStream, got 5",
    });
  }
});
