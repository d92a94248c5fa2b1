import { describe, expect, test } from "vitest";
import { checkPath, checkWritablePath } from "../../../src/runtime/filesystem/paths.ts";

function refusal(check: () => unknown): { code: string; message: string } | string {
  try {
    return String(check());
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return { code, message };
  }
}

const invalid = (message: string) => ({ code: "invalid_argument", message });

describe("checkPath", () => {
  test.each(["/", "/a", "/a/b", "/a/", "/a b/c", "/.hidden", "/...", "/ä/\u{1f600}", `/${"x".repeat(4094)}`])(
    "accepts %s",
    (path) => {
      expect(checkPath(path, "open")).toBe(path);
    },
  );

  test.each([
    ["", invalid("Path must be absolute: ")],
    ["a", invalid("Path must be absolute: a")],
    ["./a", invalid("Path must be absolute: ./a")],
    ["~/a", invalid("Path must be absolute: ~/a")],
    ["//", invalid("Path must be normalized: //")],
    ["//a", invalid("Path must be normalized: //a")],
    ["/a//b", invalid("Path must be normalized: /a//b")],
    ["/a//", invalid("Path must be normalized: /a//")],
    ["/.", invalid("Path must be normalized: /.")],
    ["/..", invalid("Path must be normalized: /..")],
    ["/a/.", invalid("Path must be normalized: /a/.")],
    ["/a/./b", invalid("Path must be normalized: /a/./b")],
    ["/a/../b", invalid("Path must be normalized: /a/../b")],
    ["/a/..", invalid("Path must be normalized: /a/..")],
    ["/a\0b", invalid('Expected `path` to be a path without NUL, got "/a\\u0000b"')],
    [
      `/${"x".repeat(4095)}`,
      { code: "ENAMETOOLONG", message: `ENAMETOOLONG: name too long, open '/${"x".repeat(79)}...'` },
    ],
    [
      `/${"ä".repeat(2048)}`,
      { code: "ENAMETOOLONG", message: `ENAMETOOLONG: name too long, open '/${"ä".repeat(2048)}'` },
    ],
  ])("refuses %j", (path, expected) => {
    expect(refusal(() => checkPath(path, "open"))).toEqual(expected);
  });

  test("refuses a path that is not a string", () => {
    expect(refusal(() => checkPath(7 as never, "open"))).toEqual(
      invalid("Expected `path` to be a path, got 7"),
    );
  });
});

describe("checkWritablePath", () => {
  test.each(["/proc", "/proc/", "/proc/1/comm", "/sys", "/sys/x", "/dev", "/dev/null"])(
    "refuses %s",
    (path) => {
      expect(refusal(() => checkWritablePath(path, "open"))).toEqual({
        code: "EROFS",
        message: `Path is read-only: ${path}`,
      });
    },
  );

  test.each(["/", "/process", "/devices/x", "/system", "/home/proc"])("accepts %s", (path) => {
    expect(checkWritablePath(path, "open")).toBe(path);
  });
});
