// @module-tag any-user
import { isUtf8 } from "node:buffer";
import { execFileSync } from "node:child_process";
import { existsSync, lstatSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
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
    expect(encodeName("\udc00\udd00\udfff\udc80\u{10ffff}")).toEqual(
      Buffer.concat([Buffer.from("\ufffd\ufffd\ufffd"), Buffer.from([0x80]), Buffer.from("\u{10ffff}")]),
    );
  });

  test("are the sequences of UTF-8 and the bytes between them", () => {
    const EDGES = [0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec];
    EDGES.push(0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff);
    for (let seed = 1, count = 0; count < 20_000; count++) {
      const bytes = Buffer.alloc(6);
      for (const index of bytes.keys()) {
        seed = (seed * 48271) % 0x7fffffff;
        bytes[index] = EDGES[seed % EDGES.length] as number;
      }
      const name = decodeName(bytes.toString("latin1"));
      expect(Buffer.from(encodeName(name))).toEqual(bytes);
      expect(name).toBe(byPrefixes(bytes));
    }
  });

  test("take few buffers if no byte is UTF-8", { tags: ["attack"] }, () => {
    const from = vi.spyOn(Buffer, "from");
    const text = vi.spyOn(Buffer.prototype, "toString");
    const part = vi.spyOn(Buffer.prototype, "subarray");
    const bytes = Buffer.alloc(255, 0xe9);
    const name = decodeName(bytes.toString("latin1"));
    const encoded = encodeName(name);
    const calls = [from, text, part].map(({ mock }) => mock.calls.length);
    vi.restoreAllMocks();
    expect([name, encoded]).toEqual(["\udce9".repeat(255), bytes]);
    expect(Math.max(...calls)).toBeLessThan(10);
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

/** Decodes the shortest prefix that is UTF-8, or else one byte, again and again. */
function byPrefixes(bytes: Buffer): string {
  let text = "";
  for (let rest = bytes; rest.length > 0; ) {
    const length = [1, 2, 3, 4].find((count) => count <= rest.length && isUtf8(rest.subarray(0, count)));
    text +=
      length === undefined ? String.fromCharCode(0xdc00 + (rest[0] ?? 0)) : rest.toString("utf8", 0, length);
    rest = rest.subarray(length ?? 1);
  }
  return text;
}
