// @module-tag any-user
import { execFileSync } from "node:child_process";
import { existsSync, lstatSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Files } from "../../../../../src/runtime/filesystem/files.ts";
import { decodeName, encodeName } from "../../../../../src/runtime/sandbox/names.ts";
import { text } from "../../../filesystem/file-systems.ts";
import { useScratch } from "./scratch.ts";

describe("names as strings", () => {
  test.each([
    ["plain", Buffer.from("plain")],
    ["ä\u{1f600}", Buffer.from("ä\u{1f600}")],
    ["\ufffd", Buffer.from("\ufffd")],
    ["\udcff", Buffer.from([0xff])],
    ["a\udce9b\ufffdä", Buffer.concat([Buffer.from("a"), Buffer.from([0xe9]), Buffer.from("b\ufffdä")])],
    ["\udced\udca0\udc80", Buffer.from([0xed, 0xa0, 0x80])],
    ["\udcf0\udc9f\udc98", Buffer.from([0xf0, 0x9f, 0x98])],
  ])("%j is %j", (name, bytes) => {
    expect(decodeName(bytes.toString("latin1"))).toBe(name);
    expect(Buffer.from(encodeName(name))).toEqual(bytes);
  });

  test("encodes other lone surrogates like Node", () => {
    expect(encodeName("\ud800x")).toEqual(Buffer.from("\ufffdx"));
  });
});

describe("files with names that are not UTF-8", () => {
  const scratch = useScratch();

  test("can be listed, read, replaced, moved and deleted", async () => {
    const files = new Files(scratch.fs);
    const raw = Buffer.concat([Buffer.from(join(scratch.root, "workspace/caf")), Buffer.from([0xe9])]);
    execFileSync("bash", [
      "-c",
      `mkdir $'${join(scratch.root, "workspace/d\\xff")}'; echo -n raw > $'${join(scratch.root, "workspace/caf\\xe9")}'`,
    ]);
    symlinkSync(Buffer.from([0x63, 0x61, 0x66, 0xe9]), join(scratch.root, "workspace/link"));
    expect(await files.readdir("/workspace")).toEqual(["caf\udce9", "d\udcff", "link"]);
    expect(text(await files.readFile("/workspace/caf\udce9"))).toBe("raw");
    expect(text(await files.readFile("/workspace/link"))).toBe("raw");
    expect(await scratch.fs.readlink("/workspace/link")).toBe("caf\udce9");
    await files.writeFile("/workspace/link", "new");
    expect(readFileSync(raw, "utf8")).toBe("new");
    await files.move("/workspace/caf\udce9", "/workspace/d\udcff/\udcfe");
    expect(existsSync(raw)).toBe(false);
    await scratch.fs.symlink("\udcfe", "/workspace/other");
    expect((await files.readdirRecursive("/workspace")).map(({ path }) => path)).toEqual([
      "/workspace/d\udcff",
      "/workspace/link",
      "/workspace/other",
      "/workspace/d\udcff/\udcfe",
    ]);
    await files.delete("/workspace", { recursive: true });
    expect(lstatSync(join(scratch.root, "workspace"), { throwIfNoEntry: false })).toBeUndefined();
  });
});
