// @module-tag any-user
// @module-tag attack
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { failure } from "../../../../support/until.ts";
import { useScratch } from "./scratch.ts";

const scratch = useScratch();

const inWorkspace = (name: string) => join(scratch.root, "workspace", name);

/** Room of this process's table of descriptors. It grows with the most that were open at once, and never shrinks. */
const descriptorTable = () => /^FDSize:\s*(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];

test("a path through links of many names is refused", async () => {
  mkdirSync(inWorkspace("a"));
  for (let link = 0; link < 39; link++)
    symlinkSync(`/workspace/${"a/../".repeat(800)}l${link + 1}`, inWorkspace(`l${link}`));
  symlinkSync("/workspace/a", inWorkspace("l39"));
  expect(await failure(scratch.fs.stat("/workspace/l0"))).toMatchObject({ code: "ELOOP" });
  expect(await failure(scratch.fs.rename("/workspace/a", "/workspace/l0/x"))).toMatchObject({
    code: "ELOOP",
  });
  expect((await scratch.fs.stat("/workspace/l38")).isDirectory).toBe(true);
});

test("a path of many names is refused", async () => {
  mkdirSync(inWorkspace("a"));
  const path = `/workspace/${"a/../".repeat(100_000)}a`;
  expect(await failure(scratch.fs.stat(path))).toMatchObject({ code: "ENAMETOOLONG" });
});

test("a way through 1,000 folders and back holds few descriptors", async () => {
  mkdirSync(inWorkspace("d/".repeat(1000)), { recursive: true });
  writeFileSync(inWorkspace("beside"), "");
  writeFileSync(inWorkspace(`${"d/".repeat(500)}half`), "");
  const before = descriptorTable();
  const [down, up] = ["d/".repeat(1000), "../".repeat(1000)];
  expect((await scratch.fs.stat(`/workspace/${down}${up}beside`)).isDirectory).toBe(false);
  expect((await scratch.fs.stat(`/workspace/${down}${"../".repeat(500)}half`)).isDirectory).toBe(false);
  expect(
    (await scratch.fs.stat(`/workspace/${down}${"../".repeat(500)}${"d/".repeat(500)}.`)).isDirectory,
  ).toBe(true);
  expect(descriptorTable()).toBe(before);
});
