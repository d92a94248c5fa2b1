import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { VmHandle } from "../../src/client/index.ts";
import { inHostTar } from "../support/host-tar.ts";
import { madeTar } from "../support/made-tar.ts";
import { sharedServer } from "../support/servers.ts";
import { type TcpProxy, tcpProxy } from "../support/tcp-proxy.ts";
import { failure } from "../support/until.ts";

const MIB = 1024 * 1024;
const server = sharedServer();
let proxy: TcpProxy;
beforeAll(async () => {
  proxy = await tcpProxy(server().port);
});
afterAll(() => proxy.close());

/** Returns a VM, and its handle through the proxy. */
function vmOf(key: string): { direct: VmHandle; vm: VmHandle } {
  return {
    direct: server().client().vm.getOrCreate(key),
    vm: server().client({ endpoint: proxy.endpoint }).vm.getOrCreate(key),
  };
}

/** Cuts the connections each time that another so many bytes have moved. */
function cutter(everyBytes: number) {
  let next = everyBytes;
  let cuts = 0;
  return {
    moved(transferred: number) {
      if (transferred < next) return;
      next += everyBytes;
      cuts += 1;
      proxy.cut();
    },
    get cuts() {
      return cuts;
    },
  };
}

test("bytes are written through a connection that breaks", async () => {
  const { vm, direct } = vmOf("resume-write");
  const data = randomBytes(18 * MIB);
  const cut = cutter(8 * MIB);
  await vm.writeFile("/workspace/data", data, { onProgress: ({ transferred }) => cut.moved(transferred) });
  expect(cut.cuts).toBeGreaterThan(1);
  expect(Buffer.compare(await direct.readFile("/workspace/data"), data)).toBe(0);
});

test("a stream is written through a connection that breaks", async () => {
  const { vm, direct } = vmOf("write-stream");
  const data = randomBytes(18 * MIB);
  const cut = cutter(8 * MIB);
  await vm.writeFile("/workspace/data", new Blob([data]).stream(), {
    onProgress: ({ transferred }) => cut.moved(transferred),
  });
  expect(cut.cuts).toBe(2);
  expect(Buffer.compare(await direct.readFile("/workspace/data"), data)).toBe(0);
});

test("a file is read through a connection that breaks, as bytes and as a stream", async () => {
  const { vm, direct } = vmOf("resume-read");
  const data = randomBytes(24 * MIB);
  await direct.writeFile("/workspace/data", data);
  const whole = cutter(8 * MIB);
  const onProgress = ({ transferred }: { transferred: number }) => whole.moved(transferred);
  expect(Buffer.compare(await vm.readFile("/workspace/data", { onProgress }), data)).toBe(0);
  expect(whole.cuts).toBe(3);
  const streamed = cutter(6 * MIB);
  const pieces: Uint8Array[] = [];
  let transferred = 0;
  for await (const piece of await vm.readFile("/workspace/data", { stream: true })) {
    pieces.push(piece);
    transferred += piece.byteLength;
    streamed.moved(transferred);
  }
  expect(streamed.cuts).toBe(4);
  expect(Buffer.compare(Buffer.concat(pieces), data)).toBe(0);
});

test("a file that changes between two connections is not put together from both", async () => {
  const { vm, direct } = vmOf("resume-changed");
  await direct.exec("head -c 40000000 /dev/zero | tr '\\0' a > /workspace/data");
  const reader = (await vm.readFile("/workspace/data", { stream: true })).getReader();
  await reader.read();
  await reader.read();
  await direct.exec("printf b | dd of=/workspace/data bs=1 seek=39999999 conv=notrunc");
  proxy.cut();
  const error = await failure(
    (async () => {
      while (!(await reader.read()).done);
    })(),
  );
  expect(error).toMatchObject({ code: "file_changed" });

  // A read of the whole file begins again.
  let changes = 0;
  const onProgress = async () => {
    changes += 1;
    if (changes !== 1) return;
    await direct.exec("printf c | dd of=/workspace/data bs=1 seek=39999998 conv=notrunc");
    proxy.cut();
  };
  const whole = await vm.readFile("/workspace/data", { onProgress: () => void onProgress() });
  expect(whole.byteLength).toBe(40_000_000);
});

test("a file that becomes shorter fails its stream, and is read again from its beginning", async () => {
  const { direct } = vmOf("shorter");
  await direct.exec("head -c 40000000 /dev/zero > /workspace/data");
  const reader = (await direct.readFile("/workspace/data", { stream: true })).getReader();
  await reader.read();
  await reader.read();
  await direct.exec("truncate -s 1000000 /workspace/data");
  const error = await failure(
    (async () => {
      while (!(await reader.read()).done);
    })(),
  );
  expect(error).toMatchObject({ code: "file_changed" });
  await direct.exec("head -c 40000000 /dev/zero > /workspace/data");
  let truncating: Promise<unknown> | undefined;
  const whole = await direct.readFile("/workspace/data", {
    onProgress: () => {
      truncating ??= direct.exec("truncate -s 1000000 /workspace/data");
    },
  });
  await truncating;
  expect([1_000_000, 40_000_000]).toContain(whole.byteLength);
});

test("a file that is replaced between two connections is read as it was", async () => {
  const { vm, direct } = vmOf("replaced");
  const data = randomBytes(20 * MIB);
  await direct.writeFile("/workspace/data", data);
  const reader = (await vm.readFile("/workspace/data", { stream: true })).getReader();
  const pieces = [(await reader.read()).value as Uint8Array, (await reader.read()).value as Uint8Array];
  await direct.writeFile("/workspace/data", "other");
  proxy.cut();
  for (let next = await reader.read(); !next.done; next = await reader.read()) pieces.push(next.value);
  expect(Buffer.compare(Buffer.concat(pieces), data)).toBe(0);
});

test("archives come and go through a connection that breaks", async () => {
  const { vm } = vmOf("tar");
  const content = randomBytes(20 * MIB);
  const archive = await madeTar({ name: "large", body: content.toString("latin1") });
  const cutIn = cutter(8 * MIB);
  await vm.importTar(archive, "/workspace/in", { onProgress: ({ transferred }) => cutIn.moved(transferred) });
  expect(cutIn.cuts).toBeGreaterThan(1);
  const cutOut = cutter(5 * MIB);
  const pieces: Uint8Array[] = [];
  let transferred = 0;
  for await (const piece of await vm.exportTar("/workspace/in")) {
    pieces.push(piece);
    transferred += piece.byteLength;
    cutOut.moved(transferred);
  }
  expect(cutOut.cuts).toBeGreaterThan(3);
  const { stdout } = await vm.exec("sha256sum < /workspace/in/large");
  expect(inHostTar(Buffer.concat(pieces), "sha256sum < large")).toBe(stdout);
});

test.each(["client", "connection"] as const)("a disposed %s ends its transfers at once", async (kind) => {
  const { direct } = vmOf("disposed");
  await direct.writeFile("/workspace/data", new Uint8Array(20 * MIB));
  const client = server().client();
  const connection = client.vm.getOrCreate("disposed").connect();
  const reader = (await connection.readFile("/workspace/data", { stream: true })).getReader();
  await reader.read();
  await reader.read();
  await (kind === "client" ? client : connection).dispose();
  const error = await failure(
    (async () => {
      while (!(await reader.read()).done);
    })(),
  );
  expect(error).toMatchObject({ code: "connection_lost" });
  expect(await failure(connection.readFile("/workspace/data"))).toMatchObject({ code: "connection_lost" });
});

test("an aborted transfer through a dead connection ends at once", async () => {
  const { vm, direct } = vmOf("dead");
  await direct.writeFile("/workspace/data", "before");
  const stop = new AbortController();
  const writing = failure(
    vm.writeFile("/workspace/data", randomBytes(24 * MIB), {
      signal: stop.signal,
      onProgress: () => {
        proxy.target = undefined;
        proxy.cut();
        setTimeout(() => stop.abort(new Error("enough")), 300);
      },
    }),
  );
  expect((await writing).message).toBe("enough");
  proxy.target = server().port;
  expect(new TextDecoder().decode(await direct.readFile("/workspace/data"))).toBe("before");
});
