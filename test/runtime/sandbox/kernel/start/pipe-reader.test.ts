import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, openSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { PipeReader } from "../../../../../src/runtime/sandbox/kernel/start/pipe-reader.ts";
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

test("what is handed over is the listener's to keep", async () => {
  const { fd } = pipe(`${PACKETS}\nfor i in range(256): os.write(1, bytes([i]))`);
  const reader = new PipeReader(fd);
  const pieces: Buffer[] = [];
  reader.listen((data) => pieces.push(data));
  await new Promise<void>((resolve) => reader.onEnd(resolve));
  expect(Buffer.concat(pieces)).toEqual(Buffer.from(Array.from({ length: 256 }, (_, index) => index)));
});
