// @module-tag any-user
// @module-tag attack
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { PipeReader } from "../../../../../src/runtime/sandbox/kernel/commands/pipe-reader.ts";
import { testFolder } from "../../../../support/temporary-folder.ts";

/** A pipe that the test writes itself, and its reader. */
function pipe(): { reader: PipeReader; read(): string; write(text: string): void } {
  const path = join(testFolder(), "pipe");
  execFileSync("mkfifo", [path]);
  const reader = new PipeReader(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
  const end = openSync(path, "w");
  onTestFinished(() => {
    reader.close();
    closeSync(end);
  });
  const pieces: Buffer[] = [];
  reader.listen((data) => pieces.push(data));
  return { reader, read: () => Buffer.concat(pieces).toString(), write: (text) => void writeSync(end, text) };
}

test("output after a drain is the pipe's own, and leaves what was handed over as it is", async () => {
  const other = pipe();
  const { reader, read, write } = pipe();
  let [whole, others] = ["", ""];
  for (const letter of ["a", "b", "c"]) {
    reader.pause();
    write(letter.repeat(60_000));
    reader.drain();
    reader.resume();
    other.write("secret".repeat(10_000));
    others += "secret".repeat(10_000);
    await expect.poll(() => other.read() === others).toBe(true);
    write(`then ${letter}`);
    whole += `${letter.repeat(60_000)}then ${letter}`;
    await expect.poll(() => read().length).toBe(whole.length);
    // After a long read the reader has a buffer of its own.
    write(letter.repeat(50_000));
    whole += letter.repeat(50_000);
    await expect.poll(() => read().length).toBe(whole.length);
    expect(read() === whole).toBe(true);
  }
});

test("output is whole and in order when its listener drains the pipe", async () => {
  const { reader, write } = pipe();
  const pieces: Buffer[] = [];
  reader.listen((data) => {
    pieces.push(data);
    if (pieces.length === 1) reader.drain();
  });
  const text = () => Buffer.concat(pieces).toString();
  write("a".repeat(60_000));
  write("b".repeat(5000));
  await expect.poll(() => text().length).toBe(65_000);
  write("c".repeat(1000));
  await expect.poll(() => text().length).toBe(66_000);
  expect(text() === `${"a".repeat(60_000)}${"b".repeat(5000)}${"c".repeat(1000)}`).toBe(true);
});
