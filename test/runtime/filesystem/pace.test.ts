// @module-tag slow
import { expect, test } from "vitest";
import { countPerTurn } from "../../support/turns.ts";
import { describeFiles } from "./file-systems.ts";

/** Counts turns of the event loop during some work. */
async function countTurns(work: () => Promise<unknown>): Promise<number> {
  return (await countPerTurn(work)).length - 1;
}

describeFiles("the event loop turns", (tree) => {
  test("during thousands of concurrent calls", async () => {
    await tree.files.writeFile("/workspace/a", "content");
    const calls = () =>
      Promise.all(Array.from({ length: 20_000 }, () => tree.files.readFile("/workspace/a")));
    expect(await countTurns(calls)).toBeGreaterThan(1);
  });

  test("during one call with thousands of files", async () => {
    const entries = Array.from({ length: 20_000 }, (_, index) => ({
      path: `/workspace/many/${index}`,
      content: "",
    }));
    expect(await countTurns(() => tree.files.writeFiles(entries))).toBeGreaterThan(1);
    const paths = entries.map(({ path }) => path);
    expect(await countTurns(() => tree.files.readFiles(paths))).toBeGreaterThan(1);
    expect(await countTurns(() => tree.files.readdirRecursive("/workspace"))).toBeGreaterThan(1);
    expect(await countTurns(() => tree.files.delete("/workspace/many", { recursive: true }))).toBeGreaterThan(
      1,
    );
  });
});
