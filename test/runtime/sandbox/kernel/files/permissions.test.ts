// @module-tag any-user
// @module-tag attack
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Files } from "../../../../../src/runtime/filesystem/files.ts";
import { failure, posix, text, VM_OWNER } from "../../../filesystem/file-systems.ts";
import { useScratch } from "./scratch.ts";

const scratch = useScratch();
const CLOSED_FOLDER = "/workspace/closed";

beforeEach(() => {
  const at = (path: string) => join(scratch.root, path);
  mkdirSync(at(CLOSED_FOLDER));
  writeFileSync(at(`${CLOSED_FOLDER}/file`), "content");
  writeFileSync(at("/workspace/file"), "content");
  chmodSync(at(CLOSED_FOLDER), 0);
  chmodSync(at("/workspace/file"), 0);
});

afterEach(() => {
  if (VM_OWNER === null) chmodSync(join(scratch.root, CLOSED_FOLDER), 0o755);
});

describe.skipIf(VM_OWNER !== null)("files without permissions, and a server of the VM's user", () => {
  const denied = (what: string) => posix(`EACCES: permission denied, ${what}`);

  test("are refused with the caller's path in the error", async () => {
    const files = new Files(scratch.fs);
    const inside = `${CLOSED_FOLDER}/file`;
    expect(await failure(files.readFile("/workspace/file"))).toEqual(denied("open '/workspace/file'"));
    expect(await failure(files.readFile(inside))).toEqual(denied(`open '${inside}'`));
    expect(await failure(files.writeFile(inside, ""))).toEqual(denied(`open '${inside}'`));
    expect(await failure(files.readdir(CLOSED_FOLDER))).toEqual(denied(`scandir '${CLOSED_FOLDER}'`));
    expect(await failure(files.delete(CLOSED_FOLDER, { recursive: true }))).toEqual(
      denied(`scandir '${CLOSED_FOLDER}'`),
    );
    chmodSync(join(scratch.root, CLOSED_FOLDER), 0o444);
    expect(await files.readdir(CLOSED_FOLDER)).toEqual(["file"]);
    expect(await failure(files.delete(CLOSED_FOLDER, { recursive: true }))).toEqual(
      denied(`lstat '${inside}'`),
    );
    chmodSync(join(scratch.root, CLOSED_FOLDER), 0o555);
    expect(await failure(files.delete(CLOSED_FOLDER, { recursive: true }))).toEqual(
      denied(`unlink '${inside}'`),
    );
    expect(await failure(files.mkdir(`${CLOSED_FOLDER}/x`))).toEqual(denied(`mkdir '${CLOSED_FOLDER}/x'`));
  });

  test("empty directories can be deleted, as with rm -rf", async () => {
    const files = new Files(scratch.fs);
    mkdirSync(join(scratch.root, "workspace/folder/closed"), { recursive: true });
    chmodSync(join(scratch.root, "workspace/folder/closed"), 0);
    await files.delete("/workspace/folder", { recursive: true });
    expect(await files.readdir("/workspace")).toEqual(["closed", "file"]);
  });

  test("a recursive listing leaves out the content of closed directories", async () => {
    const files = new Files(scratch.fs);
    expect((await files.readdirRecursive("/workspace")).map(({ path }) => path)).toEqual([
      "/workspace/closed",
      "/workspace/file",
    ]);
  });
});

describe.skipIf(VM_OWNER === null)("files without permissions, and a root server", () => {
  test("can be read, listed and deleted", async () => {
    const files = new Files(scratch.fs);
    expect(text(await files.readFile("/workspace/file"))).toBe("content");
    expect(await files.readdir(CLOSED_FOLDER)).toEqual(["file"]);
    await files.delete(CLOSED_FOLDER, { recursive: true });
    expect(await files.readdir("/workspace")).toEqual(["file"]);
  });
});
