import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { AgentVmError } from "../../../src/api/errors.ts";
import {
  encodeCredit,
  encodeMuxFrame,
  FRAME,
  MAX_DATA_BYTES,
  WINDOW_BYTES,
} from "../../../src/base/mux/frames.ts";
import { Mux } from "../../../src/base/mux/mux.ts";
import { type MuxStream, MuxViolation } from "../../../src/base/mux/stream.ts";

/** Joins a client and a server by queues of messages, which `run` delivers. */
function pair() {
  const toServer: Uint8Array[] = [];
  const toClient: Uint8Array[] = [];
  const opened: MuxStream[] = [];
  const client = new Mux(
    "client",
    { send: (m) => toServer.push(m), waiting: () => 0 },
    { onOpen: () => undefined },
  );
  const server = new Mux(
    "server",
    { send: (m) => toClient.push(m), waiting: () => 0 },
    { onOpen: (stream) => opened.push(stream) },
  );
  const run = () => {
    while (toServer.length + toClient.length > 0) {
      for (const message of toServer.splice(0)) server.receive(message);
      for (const message of toClient.splice(0)) client.receive(message);
    }
  };
  /** Opens a stream that both sides have accepted. */
  const open = (): [client: MuxStream, server: MuxStream] => {
    const stream = client.open({ port: 1 });
    run();
    const other = opened.pop() as MuxStream;
    other.accept();
    run();
    return [stream, other];
  };
  return { client, server, open, opened, run };
}

const text = (stream: MuxStream) => new TextDecoder().decode(stream.body);

test("a stream says what it is for, carries bytes and ends in each direction by itself", () => {
  const { open, run, client, server } = pair();
  const [one, other] = open();
  expect(text(other)).toBe('{"port":1}');
  const got: string[] = [];
  other.onData = (bytes) => got.push(Buffer.from(bytes).toString());
  other.onEnd = () => got.push("end");
  one.write(Buffer.from("hello"));
  one.end();
  run();
  expect(got).toEqual(["hello", "end"]);
  expect([client.size, server.size]).toEqual([1, 1]);
  let isClosed = false;
  one.onClosed = (wasReset) => {
    isClosed = !wasReset;
  };
  other.end();
  run();
  expect([isClosed, client.size, server.size]).toEqual([true, 0, 0]);
});

test("a sender waits for credit, and continues where it stopped", () => {
  const { open, run } = pair();
  const [one, other] = open();
  const pieces: Uint8Array[] = [];
  other.onData = (bytes) => pieces.push(bytes);
  let writable = 0;
  one.onWritable = () => {
    writable += 1;
  };
  const sent = randomBytes(WINDOW_BYTES * 2 + 5);
  expect(one.write(sent)).toBe(false);
  one.end();
  run();
  const received = () => pieces.reduce((total, { length }) => total + length, 0);
  expect(received()).toBe(WINDOW_BYTES);
  other.grant(WINDOW_BYTES / 4 - 1);
  run();
  expect(received()).toBe(WINDOW_BYTES);
  while (received() < sent.length) {
    other.grant(WINDOW_BYTES / 2);
    run();
  }
  expect(Buffer.concat(pieces).equals(sent)).toBe(true);
  expect(writable).toBeGreaterThan(0);
});

test("a reset carries its error, and later frames of the stream are ignored", () => {
  const { open, run, client, server } = pair();
  const [one, other] = open();
  const errors: unknown[] = [];
  one.onClosed = (wasReset, error) => errors.push([wasReset, error?.code, error?.metadata.port]);
  other.reset(new AgentVmError("ECONNREFUSED", "nobody", { port: 9 }));
  one.write(Buffer.from("late"));
  run();
  expect(errors).toEqual([[true, "ECONNREFUSED", 9]]);
  expect([client.size, server.size]).toEqual([0, 0]);
});

test("the end of the connection ends every stream, and streams that open later", async () => {
  const { open, client } = pair();
  const [one] = open();
  const codes: unknown[] = [];
  one.onClosed = (_wasReset, error) => codes.push(error?.code);
  client.end(new AgentVmError("connection_lost", "gone"));
  const late = client.open({});
  late.onClosed = (_wasReset, error) => codes.push(error?.code);
  await Promise.resolve();
  expect(codes).toEqual(["connection_lost", "connection_lost"]);
});

const data = (id: number, bytes: number) => encodeMuxFrame(FRAME.data, id, new Uint8Array(bytes));
const window = Array.from({ length: WINDOW_BYTES / MAX_DATA_BYTES }, () => data(1, MAX_DATA_BYTES));
const OPEN = encodeMuxFrame(FRAME.open, 1, Buffer.from("{}"));

test.for<[title: string, frames: Uint8Array[]]>([
  ["no frame", [new Uint8Array()]],
  ["a kind that does not exist", [encodeMuxFrame(9 as never, 1)]],
  ["a stream that was never opened", [data(1, 1)]],
  ["a stream of the server that was never opened", [data(2, 1)]],
  ["a number of the server's streams", [encodeMuxFrame(FRAME.open, 2, Buffer.from("{}"))]],
  ["a number twice", [OPEN, OPEN]],
  ["a lower number", [encodeMuxFrame(FRAME.open, 3, Buffer.from("{}")), OPEN]],
  ["a stream for nothing", [encodeMuxFrame(FRAME.open, 1)]],
  ["more bytes than credit", [OPEN, ...window, data(1, 1)]],
  ["an empty piece", [OPEN, data(1, 0)]],
  ["a piece that is too large", [OPEN, data(1, MAX_DATA_BYTES + 1)]],
  ["bytes after the end", [OPEN, encodeMuxFrame(FRAME.end, 1), data(1, 1)]],
  ["a second end", [OPEN, encodeMuxFrame(FRAME.end, 1), encodeMuxFrame(FRAME.end, 1)]],
  ["credit for nothing", [OPEN, encodeCredit(1, 1)]],
  ["no credit", [OPEN, encodeCredit(1, 0)]],
  ["credit of another length", [OPEN, encodeMuxFrame(FRAME.credit, 1, new Uint8Array(3))]],
  ["acceptance of its own stream", [OPEN, encodeMuxFrame(FRAME.opened, 1)]],
  ["a frame of the connection", [encodeMuxFrame(FRAME.opened, 0)]],
  [
    "an error of the connection",
    [encodeMuxFrame(FRAME.reset, 0, Buffer.from('{"code":"EIO","message":"x"}'))],
  ],
])("refuses %s", ([, frames]) => {
  const server = new Mux(
    "server",
    { send: () => undefined, waiting: () => 0 },
    { onOpen: (stream) => stream.accept() },
  );
  expect(() => {
    for (const frame of frames) server.receive(frame);
  }).toThrow(MuxViolation);
});

test("refuses bytes of a stream that it has not accepted", () => {
  const server = new Mux("server", { send: () => undefined, waiting: () => 0 }, { onOpen: () => undefined });
  server.receive(OPEN);
  expect(() => server.receive(data(1, 1))).toThrow(MuxViolation);
});

test("streams write no more while many bytes wait to be sent", () => {
  let waiting = 0;
  const sent: Uint8Array[] = [];
  const mux = new Mux(
    "client",
    {
      send: (message) => {
        sent.push(message);
        waiting += message.length;
      },
      waiting: () => waiting,
    },
    { onOpen: () => undefined },
  );
  const streams = Array.from({ length: 10 }, () => mux.open({}));
  const results = streams.map((stream) => stream.write(new Uint8Array(WINDOW_BYTES - 1)));
  expect(results).toContain(true);
  expect(results).toContain(false);
  expect(waiting).toBeLessThan(1024 * 1024 + MAX_DATA_BYTES + 1000);
  const before = sent.length;
  waiting = 0;
  mux.drained();
  expect(sent.length).toBeGreaterThan(before);
});
