// @module-tag any-user
// @module-tag slow
// @module-tag attack
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, openSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { OutputShare } from "../../../../../src/runtime/sandbox/kernel/commands/output-share.ts";
import { PipeReader } from "../../../../../src/runtime/sandbox/kernel/commands/pipe-reader.ts";
import { temporaryFolder } from "../../../../support/temporary-folder.ts";

const folder = temporaryFolder();
let pipes = 0;

/** A pipe, and a python program whose stdout it is. */
function pipe(program: string): { fd: number; writer: ChildProcess } {
  const path = join(folder, String(pipes++));
  execFileSync("mkfifo", [path]);
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const end = openSync(path, "w");
  const writer = spawn("python3", ["-c", `import fcntl, os\n${program}`], {
    stdio: ["ignore", end, "ignore"],
  });
  closeSync(end);
  onTestFinished(() => {
    writer.kill("SIGKILL");
  });
  return { fd, writer };
}

const LARGE = "fcntl.fcntl(1, 1031, 1 << 20)"; // F_SETPIPE_SZ
const PACKETS = "fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) | os.O_DIRECT)";

function drained(reader: PipeReader): Buffer {
  const pieces: Buffer[] = [];
  reader.listen((data) => pieces.push(data));
  reader.drain();
  return Buffer.concat(pieces);
}

test("one drain gives all that a full pipe holds", async () => {
  const { fd, writer } = pipe(`${LARGE}\nos.write(1, b"0123456789abcdef" * (1 << 16))`);
  await once(writer, "exit");
  expect(drained(new PipeReader(fd)).equals(Buffer.from("0123456789abcdef".repeat(1 << 16)))).toBe(true);
});

test("one drain gives all packets that a pipe holds", async () => {
  const { fd, writer } = pipe(`${LARGE}\n${PACKETS}\nfor i in range(256): os.write(1, bytes([i]))`);
  await once(writer, "exit");
  expect(drained(new PipeReader(fd))).toEqual(Buffer.from(Array.from({ length: 256 }, (_, index) => index)));
});

test("one drain ends, though others write as fast as it reads", async () => {
  const flood = `${LARGE}\nfor _ in range(3): os.fork()\nprint("x", end="", flush=True)\nwhile True: os.write(1, bytes(1 << 20))`;
  const { fd } = pipe(flood);
  const reader = new PipeReader(fd);
  onTestFinished(() => reader.close());
  await new Promise<void>((resolve) => reader.listen(() => resolve()));
  for (let round = 0; round < 50; round++) {
    expect(drained(reader).length).toBeLessThanOrEqual((1 << 20) + (1 << 16));
    await new Promise((resolve) => setImmediate(resolve));
  }
});

test("handed-over data is the listener's to keep", async () => {
  const { fd } = pipe(`${PACKETS}\nfor i in range(256): os.write(1, bytes([i]))`);
  const reader = new PipeReader(fd);
  const pieces: Buffer[] = [];
  reader.listen((data) => pieces.push(data));
  await new Promise<void>((resolve) => reader.onEnd(resolve));
  expect(Buffer.concat(pieces)).toEqual(Buffer.from(Array.from({ length: 256 }, (_, index) => index)));
});

test("data of one pipe stays as it is while another pipe is read", async () => {
  const letters = ["a", "b"];
  const readers = letters.map((letter) => {
    const reader = new PipeReader(
      pipe(`${LARGE}\nfor _ in range(64): os.write(1, b"${letter}" * (1 << 16))`).fd,
    );
    const pieces: Buffer[] = [];
    reader.listen((data) => pieces.push(data));
    return { reader, pieces };
  });
  await Promise.all(readers.map(({ reader }) => new Promise<void>((resolve) => reader.onEnd(resolve))));
  for (const [index, { pieces }] of readers.entries()) {
    const whole = Buffer.concat(pieces);
    expect(whole.length).toBe(64 << 16);
    expect(whole.every((byte) => byte === letters[index]?.charCodeAt(0))).toBe(true);
  }
});

/** Starts a reader of a program that writes without end, in pieces of some bytes. */
function flooded(share: OutputShare, bytes: number, listener: (data: Buffer) => void): PipeReader {
  const reader = new PipeReader(pipe(`while True: os.write(1, bytes(${bytes}))`).fd);
  reader.shareTurns(share);
  reader.listen(listener);
  onTestFinished(() => reader.close());
  return reader;
}

test("readers of one VM take turns when all have output without end", async () => {
  const share = new OutputShare();
  const reads = Array.from({ length: 12 }, () => 0);
  for (const index of reads.keys())
    flooded(share, 65_536, () => {
      reads[index] = (reads[index] as number) + 1;
    });
  const total = () => reads.reduce((sum, count) => sum + count);
  let most = 0;
  while (Math.min(...reads) < 20) {
    const before = total();
    await new Promise((resolve) => setImmediate(resolve));
    // At first, nobody waits yet.
    if (Math.min(...reads) > 2) most = Math.max(most, total() - before);
  }
  // All may have waited for output: then each reads once.
  expect(most).toBeLessThanOrEqual(13);
});

test("a reader that waits for its turn stays paused, and reads on when resumed", async () => {
  const share = new OutputShare();
  let bytes = 0;
  let more: () => void = () => undefined;
  const reader = flooded(share, 65_536, (data) => {
    bytes += data.length;
    if (bytes > 1 << 20) reader.pause();
    more();
  });
  flooded(share, 65_536, () => undefined);
  const until = (goal: number) =>
    new Promise<void>((resolve) => {
      more = () => {
        if (bytes > goal) resolve();
      };
    });
  await until(1 << 20);
  const paused = bytes;
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(bytes).toBe(paused);
  reader.resume();
  await until(paused);
});
