// @module-tag slow
import { expect, test } from "vitest";
import { consoleTest } from "../support/console.ts";

const { vm, open, shoot } = consoleTest();
const content = async () => new TextDecoder().decode(await vm("snap").readFile("/workspace/a.txt"));

test("the snapshot page takes, compares, restores and deletes snapshots", async (context) => {
  await vm("snap").writeFile("/workspace/a.txt", "first\nsecond\n");
  const page = await open(context, { at: "#/vm/vm/snapshots/snap" });
  await page.getByRole("button", { name: "New snapshot" }).click();
  await page.getByLabel("Name").fill("before the change");
  await page.getByRole("button", { name: "Create" }).click();
  const snapshot = page.getByRole("listitem").filter({ hasText: "before the change" });
  await snapshot.waitFor();
  await vm("snap").writeFile("/workspace/a.txt", "first\nchanged\n");
  await snapshot.getByRole("button", { name: "Compare" }).click();
  await page.getByText("/workspace/a.txt").waitFor();
  await shoot(page, "snapshots");
  await snapshot.getByRole("button", { name: "Restore" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Restore" }).click();
  await expect.poll(content).toBe("first\nsecond\n");
  await snapshot.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await snapshot.waitFor({ state: "detached" });
  expect(await vm("snap").listSnapshots()).toEqual([]);
});
