// @module-tag slow
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { consoleTest } from "../support/console.ts";

const { vm, open, shoot } = consoleTest();
const PIXEL = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
  "base64",
);
const text = async (path: string) => new TextDecoder().decode(await vm("files").readFile(path));

test("the files page shows, edits, uploads, downloads, renames and deletes files", async (context) => {
  await vm("files").writeFiles([
    {
      path: "/workspace/src/app.ts",
      content:
        "export const answer: number = 41;\n\nfunction greet(name: string) {\n  return 'hello ' + name;\n}\n",
    },
    { path: "/workspace/src/deep/config.json", content: '{ "port": 3000 }\n' },
    { path: "/workspace/pixel.png", content: PIXEL },
    { path: "/workspace/data.bin", content: Uint8Array.of(0, 1, 2, 255) },
    { path: "/workspace/README.md", content: "# Read me\n" },
  ]);
  const page = await open(context, { at: "#/vm/vm/files/files" });
  const item = (name: string) => page.getByRole("treeitem", { name, exact: true });
  await item("src").click();
  await item("app.ts").click();
  await page.getByText("export const").waitFor();
  await shoot(page, "files");
  await page.getByText("41").click();
  await page.keyboard.press("Control+Home");
  await page.keyboard.type("// changed\n");
  await page.getByText("not saved").waitFor();
  await page.keyboard.press("Control+s");
  await expect.poll(() => text("/workspace/src/app.ts")).toMatch(/^\/\/ changed\nexport/);
  await page.getByText("saved", { exact: true }).waitFor();

  await item("pixel.png").click();
  await expect
    .poll(() => page.locator("img").evaluate((image: HTMLImageElement) => image.naturalWidth))
    .toBe(1);
  await item("data.bin").click();
  await page.getByText("00 01 02 ff").waitFor();

  await item("README.md").click();
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download" }).click();
  expect(readFileSync(await (await download).path(), "utf8")).toBe("# Read me\n");
  await item("src").click();
  const archive = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download" }).click();
  expect((await archive).suggestedFilename()).toBe("src.tar");

  await item("README.md").click();
  await page.getByRole("button", { name: "Rename" }).click();
  await page.getByLabel("New name").fill("NOTES.md");
  await page.getByRole("dialog").getByRole("button", { name: "Rename" }).click();
  await item("NOTES.md").click();
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await item("NOTES.md").waitFor({ state: "detached" });
  expect(await vm("files").exists("/workspace/NOTES.md")).toBe(false);

  // A drop, as a browser makes it.
  const transfer = await page.evaluateHandle(() => {
    const data = new DataTransfer();
    data.items.add(new File(["dropped"], "dropped.txt"));
    return data;
  });
  await page.getByRole("region", { name: "Upload" }).dispatchEvent("drop", { dataTransfer: transfer });
  await item("dropped.txt").waitFor();
  expect(await text("/workspace/dropped.txt")).toBe("dropped");
});

test("the changes since a snapshot are listed, and each can be undone", async (context) => {
  await vm("changes").writeFile("/workspace/kept.txt", "before");
  await vm("changes").createSnapshot("before");
  await vm("changes").writeFile("/workspace/kept.txt", "after");
  await vm("changes").writeFile("/workspace/new.txt", "new");
  const page = await open(context, { at: "#/vm/vm/files/changes" });
  await page.getByRole("button", { name: "Changes" }).click();
  await page.getByLabel("Changed since").selectOption({ label: "before" });
  await page.getByRole("button", { name: "/workspace/kept.txt" }).click();
  await page.getByRole("textbox", { name: "/workspace/kept.txt, after" }).getByText("after").waitFor();
  const row = page.getByRole("listitem").filter({ hasText: "/workspace/kept.txt" });
  await row.getByText("modified").waitFor();
  await page.getByRole("listitem").filter({ hasText: "/workspace/new.txt" }).getByText("added").waitFor();
  await row.getByRole("button", { name: "Undo" }).click();
  await page.getByRole("button", { name: "Put back" }).click();
  await row.waitFor({ state: "detached" });
  expect(new TextDecoder().decode(await vm("changes").readFile("/workspace/kept.txt"))).toBe("before");
});
