import { expect, test } from "vitest";
import { Recordings } from "../../../src/runtime/recordings/recordings.ts";
import { recordingInfoKey } from "../../../src/runtime/store/keys.ts";
import { decodeJson, MemoryStore, type StoreEntry } from "../../../src/runtime/store/store.ts";

/** A recording of a program that runs, all of which is stored, and a store whose next write can fail. */
async function recorded() {
  const store = new MemoryStore();
  const put = store.put.bind(store);
  const disk = { failing: 0 };
  store.put = async (entries: readonly StoreEntry[]) => {
    if (disk.failing-- > 0) throw new Error("ENOSPC");
    await put(entries);
  };
  const failures: unknown[] = [];
  const deps = { store, onFailure: (error: unknown) => void failures.push(error) };
  const recordings = new Recordings(deps);
  const about = { cols: 80, rows: 24, shellId: "s", command: ["x"] };
  const [, recorder] = await recordings.around(true, about, async () => ({ pid: 2 }));
  if (recorder === undefined) throw new Error("nothing is recorded");
  recorder.output("terminal", Buffer.from("whole"));
  await recorder.settled();
  const stored = async () => {
    const [info] = await store.get([recordingInfoKey(recorder.info.recordingId)]);
    return info && decodeJson(info);
  };
  return { recordings, recorder, disk, failures, stored };
}

test("a recording whose end was not stored is whole, and its end is stored later", async () => {
  const { recordings, recorder, disk, failures, stored } = await recorded();
  disk.failing = 1;
  recorder.ended();
  await expect.poll(() => failures).toHaveLength(1);
  const [info] = await recordings.listRecordings();
  expect(info).toMatchObject({ running: false, truncated: false });
  await recordings.settled("sleep");
  expect(await stored()).toEqual(info);
  const { data, end } = await recordings.readRecording(recorder.info.recordingId);
  expect({ bytes: Buffer.byteLength(data), end }).toEqual({ bytes: info?.bytes, end: true });
  expect(data).toContain("whole");
});

test("a recording whose output was not stored ends before it", async () => {
  const { recordings, recorder, disk, failures, stored } = await recorded();
  const { bytes } = recorder.info;
  recorder.output("terminal", Buffer.from("lost"));
  disk.failing = 1;
  recorder.ended();
  await recordings.settled("sleep");
  expect(failures).toHaveLength(1);
  expect(await stored()).toMatchObject({ running: false, truncated: true, bytes });
  const { data } = await recordings.readRecording(recorder.info.recordingId);
  expect(Buffer.byteLength(data)).toBe(bytes);
  expect(data).not.toContain("lost");
});
