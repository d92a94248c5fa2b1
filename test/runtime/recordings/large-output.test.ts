import { expect, test } from "vitest";
import { MAX_RECORDING_BYTES } from "../../../src/runtime/recordings/limits.ts";
import { Recordings } from "../../../src/runtime/recordings/recordings.ts";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { outputOf, parseCast } from "../../support/asciicast.ts";

const START = { cols: 80, rows: 24, shellId: "shell-1", command: ["cat"] };

/** Begins a recording whose store works. */
async function begun(store = new MemoryStore()) {
  const failures: unknown[] = [];
  const recordings = new Recordings({ store, onFailure: (error) => failures.push(error) });
  const [, recorder] = await recordings.around(true, START, async () => ({ pid: 2 }));
  if (recorder === undefined) throw new Error("nothing is recorded");
  return { recordings, recorder, failures };
}

/** Returns each part of a recording. */
async function partsOf(recordings: Recordings, recordingId: string): Promise<string[]> {
  const parts: string[] = [];
  for (let after = -1; ; ) {
    const { data, last, end } = await recordings.readRecording(recordingId, { after });
    parts.push(data);
    after = last;
    if (end) return parts;
  }
}

test.each([
  ["Chinese text", "漢".repeat(1024 * 1024)],
  ["characters of four bytes", `a${"🦊".repeat(256 * 1024)}`],
  ["NUL", "\0".repeat(1024 * 1024)],
  ["sequences of a terminal", "\x1b[0m".repeat(128 * 1024)],
])("a burst of %s is recorded whole, in parts of whole lines", async (_, text) => {
  const { recordings, recorder, failures } = await begun();
  const bytes = Buffer.from(text);
  for (let offset = 0; offset < bytes.length; offset += 64 * 1024)
    recorder.output("terminal", bytes.subarray(offset, offset + 64 * 1024));
  recorder.ended();
  const parts = await partsOf(recordings, recorder.info.recordingId);
  expect(failures).toEqual([]);
  expect(recorder.info).toMatchObject({ running: false, truncated: false });
  for (const part of parts) expect(part === "" || part.endsWith("\n")).toBe(true);
  const cast = parseCast(parts.join(""));
  expect(outputOf(cast) === text).toBe(true);
  for (const [, , data] of cast.events) expect(data.isWellFormed()).toBe(true);
});

test("one piece of output that is larger than a whole recording fills it", async () => {
  const { recordings, recorder, failures } = await begun();
  recorder.output("terminal", Buffer.alloc(MAX_RECORDING_BYTES));
  recorder.ended();
  const text = (await partsOf(recordings, recorder.info.recordingId)).join("");
  expect(failures).toEqual([]);
  expect(recorder.info).toMatchObject({ running: false, truncated: true });
  expect(Buffer.byteLength(text)).toBe(recorder.info.bytes);
  expect(recorder.info.bytes).toBeGreaterThan(MAX_RECORDING_BYTES - 100_000);
});

test("a recording whose store failed once is truncated there, also for the next instance", async () => {
  const store = new MemoryStore();
  const { recordings, recorder, failures } = await begun(store);
  recorder.output("terminal", Buffer.from("one\r\n"));
  await recorder.settled();
  const { put } = store;
  store.put = async () => {
    throw new Error("ENOSPC");
  };
  recorder.output("terminal", Buffer.from("two\r\n"));
  await recorder.settled();
  store.put = put.bind(store);
  recorder.output("terminal", Buffer.from("three\r\n"));
  recorder.ended();
  await recordings.settled("sleep");
  expect(failures).toHaveLength(1);
  const { recordingId } = recorder.info;
  const next = new Recordings({ store, onFailure: () => undefined });
  expect(await next.listRecordings()).toEqual([recorder.info]);
  expect(recorder.info).toMatchObject({ running: false, truncated: true });
  expect(outputOf(parseCast((await partsOf(next, recordingId)).join("")))).toBe("one\r\n");
});
