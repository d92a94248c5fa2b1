// @module-tag any-user
// @module-tag attack
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { BytePool, ByteShare } from "../../../../../src/base/byte-share.ts";
import {
  type Pty,
  spawnPty,
  TerminalEnd,
  terminalMemory,
} from "../../../../../src/runtime/sandbox/kernel/terminal/terminal-end.ts";
import { temporaryFolder } from "../../../../support/temporary-folder.ts";
import { failure } from "../../../../support/until.ts";

/** Opens a terminal whose program never reads, and fills it with input. */
async function fullTerminal(
  memory = terminalMemory(),
): Promise<{ pty: Pty & { fd: number; destroy(): void }; end: TerminalEnd }> {
  const options = { cols: 80, rows: 24, env: { PATH: "/usr/bin:/bin" }, encoding: null };
  const pty = spawnPty("sh", ["-c", "stty raw -echo; echo ready; exec sleep 1000"], options);
  onTestFinished(() => pty.kill("SIGKILL"));
  await new Promise<void>((resolve) => pty.onData(() => resolve()));
  const end = new TerminalEnd(pty, memory);
  end.write(Buffer.alloc(1 << 20, "x"));
  expect(end.pending).toBeGreaterThan(0);
  return { pty: pty as Pty & { fd: number; destroy(): void }, end };
}

const folder = temporaryFolder();

/** Opens files until one gets the descriptor's number. */
function takeDescriptor(fd: number): string {
  for (let index = 0; ; index++) {
    const path = join(folder, String(index));
    const opened = openSync(path, "w");
    onTestFinished(() => closeSync(opened));
    if (opened === fd) return path;
    if (opened > fd) throw new Error(`descriptor ${fd} has not been closed`);
  }
}

test("pending input is not written to another file with the closed descriptor's number", async () => {
  const { pty, end } = await fullTerminal();
  pty.destroy();
  const path = takeDescriptor(pty.fd);
  end.write(Buffer.from("more"));
  end.resize(100, 30);
  await expect.poll(() => end.pending).toBe(0);
  expect(fstatSync(pty.fd).isFile()).toBe(true);
  expect(readFileSync(path, "utf8")).toBe("");
});

test("pending input is written when the terminal has room", async () => {
  const options = { cols: 80, rows: 24, env: { PATH: "/usr/bin:/bin" }, encoding: null };
  const pty = spawnPty("sh", ["-c", "stty raw -echo; echo ready; head -c 1048576 | wc -c"], options);
  let screen = "";
  const counted = new Promise<void>((resolve) =>
    pty.onData((data) => {
      if (screen === "") end.write(Buffer.alloc(1 << 20, "x"));
      screen += data;
      if (screen.includes("1048576")) resolve();
    }),
  );
  const end = new TerminalEnd(pty, terminalMemory());
  await counted;
  expect(end.pending).toBe(0);
});

test("pending input is bounded for all VMs, and leaves each VM its own part", async () => {
  const pool = new BytePool(4 << 20);
  const memoryOf = () => new ByteShare({ most: 16 << 20, small: 2 << 20, pool });
  const [loud, witness] = [memoryOf(), memoryOf()];
  const { end } = await fullTerminal(loud);
  for (let piece = 0; piece < 4; piece++) end.write(Buffer.alloc(1 << 20));
  const overfill = async () => end.write(Buffer.alloc(2 << 20));
  const refused = await failure(overfill());
  expect(refused).toMatchObject({
    code: "limit_exceeded",
    metadata: { limit: "MAX_SERVER_TERMINAL_INPUT_BYTES" },
  });
  const other = await fullTerminal(witness);
  expect(witness.bytes).toBeGreaterThan(1 << 20);
  for (const each of [end, other.end]) each.close();
  expect([loud.bytes, witness.bytes, pool.bytes]).toEqual([0, 0, 0]);
});

test("pieces of one byte count with what each of them takes", async () => {
  const memory = terminalMemory();
  const { end } = await fullTerminal(memory);
  const before = memory.bytes;
  for (let piece = 0; piece < 1000; piece++) end.write(Buffer.alloc(1));
  expect(memory.bytes - before).toBeGreaterThan(100_000);
  end.close();
  expect(memory.bytes).toBe(0);
});
