import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const FOLDER = join(import.meta.dirname, "../../src/rivet");

/** RivetKit itself, whose version package.json pins. */
const ITSELF = "rivetkit.ts";

const ADAPTS = /RivetKit 2\.\d/;
const OWN = /agent-vm's own/;

test("every file of src/rivet names the versions of RivetKit that it is for, or says that it is agent-vm's own", () => {
  const files = globSync("*.ts", { cwd: FOLDER }).filter((file) => file !== ITSELF);
  const silent = files.filter((file) => {
    const source = readFileSync(join(FOLDER, file), "utf8").replaceAll(/\s*\n\s*\*?\s*/g, " ");
    return !ADAPTS.test(source) && !OWN.test(source);
  });
  expect(files).toContain("kv-storage.ts");
  expect(silent).toEqual([]);
});
