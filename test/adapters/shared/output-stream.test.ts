import { expect, test } from "vitest";
import { OutputStream } from "../../../src/adapters/shared/output-stream.ts";
import { failure } from "../../support/until.ts";

const MIB = 1024 * 1024;

const piece = new Uint8Array(MIB);

test("a reader that is slow holds up the writer, and misses nothing", async () => {
  const output = new OutputStream();
  const reader = output.stream.getReader();
  let written = 0;
  const writing = (async () => {
    for (; written < 40; written++) await output.write(piece);
    output.end();
  })();
  await new Promise(setImmediate);
  expect(written).toBeLessThan(20);
  let read = 0;
  for (let next = await reader.read(); !next.done; next = await reader.read()) read += next.value.byteLength;
  await writing;
  expect(read).toBe(40 * MIB);
});

test("without a reader the writer goes on, and a later reader gets the first output and an error", async () => {
  const output = new OutputStream();
  for (let count = 0; count < 40; count++) await output.write(piece);
  output.end();
  const reader = output.stream.getReader();
  let read = 0;
  const reading = (async () => {
    for (;;) read += (await reader.read()).value?.byteLength ?? 0;
  })();
  expect(await failure(reading)).toMatchObject({ message: expect.stringContaining("dropped") });
  expect(read).toBe(16 * MIB);
});

test.each<[string, (output: OutputStream) => unknown]>([
  ["free", (output) => output.free()],
  ["fail", (output) => output.fail(new Error("ended"))],
])("%s lets a writer go on that waits for its reader", async (_name, release) => {
  const output = new OutputStream();
  const reader = output.stream.getReader();
  reader.closed.catch(() => undefined);
  const writing = (async () => {
    for (let count = 0; count < 40; count++) await output.write(piece);
  })();
  await new Promise(setImmediate);
  release(output);
  await writing;
});
