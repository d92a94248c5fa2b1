import { expect, test } from "vitest";
import { readTar } from "../../../src/runtime/tar/read.ts";
import { madeTar } from "../../support/made-tar.ts";
import { failure } from "../../support/until.ts";

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Reads an archive, and waits some turns of the event loop after each step. */
async function readSlowly(archive: Uint8Array, turns: number): Promise<string[]> {
  const wait = async () => {
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  const names: string[] = [];
  for await (const entry of readTar(once(archive))) {
    names.push(entry.name);
    await wait();
    if (entry.type === "file") for await (const _piece of entry.content) await wait();
  }
  return names;
}

test.each([0, 1, 2, 5, 20])("reports a cut archive, even if it is read %i turns late", async (turns) => {
  const cut = (await madeTar({ name: "first", body: "1" }, { name: "n", body: "x".repeat(5000) })).subarray(
    0,
    3000,
  );
  for (let round = 0; round < 10; round++) {
    expect(await failure(readSlowly(cut, turns))).toMatchObject({
      code: "invalid_archive",
      message: "The archive cannot be imported: it ends too early",
    });
  }
});

test("throws the source's own error, even if the archive is read late", async () => {
  const archive = await madeTar({ name: "n", body: "x".repeat(5000) });
  const failing = async function* () {
    yield archive.subarray(0, 3000);
    throw new Error("the source broke");
  };
  const reading = async () => {
    for await (const entry of readTar(failing())) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      if (entry.type === "file") for await (const _piece of entry.content);
    }
  };
  expect(await failure(reading())).toMatchObject({ message: "the source broke" });
});

test("skips entries that are not read", async () => {
  const archive = await madeTar({ name: "a", body: "x".repeat(300_000) }, { name: "b", body: "1" });
  const names: string[] = [];
  for await (const { name } of readTar(once(archive))) names.push(name);
  expect(names).toEqual(["a", "b"]);
});
