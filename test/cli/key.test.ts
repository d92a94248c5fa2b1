import { expect, test } from "vitest";
import { keyText, needPlace, parseKey, parsePlace } from "../../src/cli/key.ts";

test.each([
  ["alice", ["alice"]],
  ["team/alice", ["team", "alice"]],
  ["a\\/b/c", ["a/b", "c"]],
  ["user\\:1", ["user:1"]],
  ["user:1", ["user:1"]],
  ["a\\\\", ["a\\"]],
])("reads the key %s", (text, key) => {
  expect(parseKey(text)).toEqual(key);
  expect(parseKey(keyText(key))).toEqual(key);
});

test.each(["", "/", "a//b", "a/"])("refuses the key %j", (text) => {
  expect(() => parseKey(text)).toThrow("Expected a key such as alice or team/alice");
});

test.each([
  ["team/alice:/workspace/x", ["team", "alice"], "/workspace/x"],
  ["alice:x/../y", ["alice"], "/home/agentos/y"],
  ["alice:", ["alice"], "/home/agentos"],
  ["user\\:1:/a:b", ["user:1"], "/a:b"],
])("reads the path %s", (text, key, path) => {
  expect(parsePlace(text)).toMatchObject({ key, path });
});

test.each(["./a:b", "/a:b", "~/a:b", "-", "file"])("%s is of this machine", (text) => {
  expect(parsePlace(text)).toBeUndefined();
});

test("takes key and path apart too, and refuses a path of this machine", () => {
  expect(needPlace("user:1", "/x")).toMatchObject({ key: ["user:1"], path: "/x" });
  expect(() => needPlace("/etc/passwd")).toThrow("Expected KEY:PATH");
});
