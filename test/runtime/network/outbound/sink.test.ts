import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { dial } from "../../../../src/runtime/network/outbound/dial.ts";
import { Sink } from "../../../../src/runtime/network/outbound/sink.ts";
import { joinHalves } from "../../../../src/runtime/network/outbound/sockets.ts";
import { listenOutside } from "../../../support/outside.ts";

/** Starts a relay to a server, and connects to it. */
async function relayTo(serve: (socket: Socket) => void): Promise<Socket> {
  const port = await listenOutside(serve);
  const relay = createServer({ allowHalfOpen: true }, async (inside) => {
    const sink = new Sink(inside);
    const outside = await dial("127.0.0.1", port, {
      allowHalfOpen: true,
      signal: new AbortController().signal,
      sink,
    });
    sink.takes(outside);
    joinHalves(inside, outside, sink);
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void relay.close());
  const program = connect({ port: (relay.address() as AddressInfo).port, allowHalfOpen: true });
  onTestFinished(() => void program.destroy());
  program.on("error", () => undefined);
  return program;
}

const digest = (bytes: Iterable<Buffer>) => {
  const hash = createHash("sha256");
  for (const one of bytes) hash.update(one);
  return hash.digest("hex");
};

/** Pieces of which no two are equal. */
const pieces = (count: number) =>
  Array.from({ length: count }, (_, index) => Buffer.alloc(50_000, `${index} `));

test("bytes arrive whole and in order at many programs that read slowly, and the end after them", async () => {
  const sent = pieces(200);
  const serve = (socket: Socket) => {
    for (const piece of sent) socket.write(piece);
    socket.end();
  };
  const received = await Promise.all(
    Array.from({ length: 6 }, async () => {
      const program = await relayTo(serve);
      const got: Buffer[] = [];
      for await (const piece of program) {
        got.push(piece as Buffer);
        if (got.length % 8 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      return digest(got);
    }),
  );
  expect(received).toEqual(Array(6).fill(digest(sent)));
});

test("a program that has ended its side still gets the answer, and the other way round", async () => {
  const program = await relayTo((socket) => {
    let text = "";
    socket.on("data", (data) => {
      text += data;
    });
    socket.on("end", () => socket.end(`got ${text}`));
  });
  program.end("request");
  expect(String((await once(program, "data"))[0])).toBe("got request");
  await once(program, "end");
  const last = Promise.withResolvers<string>();
  const other = await relayTo((socket) => {
    socket.end("greeting");
    socket.on("data", (data) => last.resolve(String(data)));
  });
  other.resume();
  await once(other, "end");
  other.end("late");
  expect(await last.promise).toBe("late");
});

test("a program that reads nothing holds up the server outside, and a reset passes", async () => {
  let written = 0;
  const closed = Promise.withResolvers<void>();
  const program = await relayTo((socket) => {
    const piece = Buffer.alloc(1024 * 1024);
    const more = () => {
      while (written < 200 && socket.write(piece)) written++;
      if (written < 200) socket.once("drain", () => written++ < 200 && more());
    };
    more();
    socket.on("close", () => closed.resolve());
  });
  program.pause();
  let before = -1;
  await expect
    .poll(
      () => {
        const isStill = written === before && written > 0;
        before = written;
        return isStill;
      },
      { interval: 500 },
    )
    .toBe(true);
  expect(written).toBeLessThan(100);
  program.resetAndDestroy();
  await closed.promise;
});
