// @module-tag slow
import { expect, test } from "vitest";
import { consoleTest } from "../support/console.ts";

const { vm, open, shoot } = consoleTest();
const content = async (key: string) => new TextDecoder().decode(await vm(key).readFile("/workspace/a.txt"));

test("the snapshot page takes, compares, forks, restores and deletes snapshots", async (context) => {
  await vm("snap").writeFile("/workspace/a.txt", "first\nsecond\n");
  await vm("snap").writeFile("/workspace/data.bin", Uint8Array.of(0, 1, 2));
  const page = await open(context, { at: "#/vm/vm/snapshots/snap" });
  const take = async (name: string) => {
    await page.getByRole("button", { name: "New snapshot" }).click();
    await page.getByLabel("Name").fill(name);
    await page.getByRole("button", { name: "Create" }).click();
    await page.getByRole("listitem").filter({ hasText: name }).waitFor();
  };
  await take("before the change");
  const snapshot = page.getByRole("listitem").filter({ hasText: "before the change" });
  await vm("snap").writeFile("/workspace/a.txt", "first\nchanged\n");
  await vm("snap").writeFile("/workspace/data.bin", Uint8Array.of(0, 1, 3));
  await take("later");
  await vm("snap").writeFile("/workspace/a.txt", "first\nnow\n");

  await snapshot.getByRole("button", { name: "Compare" }).click();
  const changed = page.getByRole("button", { name: "/workspace/a.txt" });
  await changed.click();
  const side = (name: string) => page.getByRole("textbox", { name: `/workspace/a.txt, ${name}` });
  await side("before").getByText("second").waitFor();
  await side("after").getByText("now").waitFor();
  await shoot(page, "snapshots");
  await page.getByLabel("up to").selectOption({ label: "later" });
  await changed.click();
  await side("after").getByText("changed").waitFor();
  expect(await page.getByRole("button", { name: "Undo" }).count()).toBe(0);
  await page.getByRole("button", { name: "/workspace/data.bin" }).click();
  await page.getByText("Before: Not a text. After: Not a text.").waitFor();

  await snapshot.getByRole("button", { name: "Fork" }).click();
  await page.getByLabel("Name of the new machine").fill("snap-then");
  await page.getByRole("dialog").getByRole("button", { name: "Fork" }).click();
  await page.getByText("Forked to snap-then").waitFor();
  expect(await content("snap-then")).toBe("first\nsecond\n");

  await snapshot.getByRole("button", { name: "Restore" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Restore" }).click();
  await expect.poll(() => content("snap")).toBe("first\nsecond\n");
  await snapshot.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await snapshot.waitFor({ state: "detached" });
  expect((await vm("snap").listSnapshots()).map(({ name }) => name)).toEqual(["later"]);
});

test("two snapshots of a machine that sleeps are compared, and the machine stays asleep", async (context) => {
  await vm("asleep").writeFile("/workspace/a.txt", "one\n");
  await vm("asleep").createSnapshot("first");
  await vm("asleep").writeFile("/workspace/a.txt", "two\n");
  await vm("asleep").createSnapshot("second");
  await vm("asleep").sleep();
  const { generation } = await vm("asleep").status();
  const page = await open(context, { at: "#/vm/vm/snapshots/asleep" });
  await page
    .getByRole("listitem")
    .filter({ hasText: "first" })
    .getByRole("button", { name: "Compare" })
    .click();
  await page.getByRole("button", { name: "/workspace/a.txt" }).click();
  await page.getByRole("textbox", { name: "/workspace/a.txt, after" }).getByText("two").waitFor();
  expect(await page.getByRole("option", { name: "now" }).isDisabled()).toBe(true);
  expect(await vm("asleep").status()).toMatchObject({ state: "sleeping", generation });
});
