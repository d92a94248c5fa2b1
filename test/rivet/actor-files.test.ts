import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ActorFiles } from "../../src/rivet/actor-files.ts";
import { testFolder } from "../support/temporary-folder.ts";

test("an actor without a record does not exist, nor does one whose record is of an unknown form", () => {
  const folder = testFolder();
  const files = new ActorFiles(folder);
  expect([files.ids(), files.read("a1")]).toEqual([[], undefined]);
  mkdirSync(join(folder, "state"));
  writeFileSync(join(folder, "state", "a1"), "another form");
  expect([files.ids(), files.read("a1")]).toEqual([["a1"], undefined]);
});

test("a record that cannot be read now is a failure of the storage, and no missing actor", () => {
  const folder = testFolder();
  // The system refuses to read a folder, as it refuses a file to a server that is out of descriptors.
  mkdirSync(join(folder, "state", "a1"), { recursive: true });
  expect(() => new ActorFiles(folder).read("a1")).toThrow(
    expect.objectContaining({ code: "storage_failed" }),
  );
});
