import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { XTERM_CSS } from "../../src/element/xterm-css.ts";

/** Takes what does not change the meaning out of a style sheet. */
const essence = (css: string) => css.replace(/\/\*[\s\S]*?\*\//g, "").replace(/\s/g, "");

test("the style of the terminal is that of the installed package", () => {
  const path = createRequire(import.meta.url).resolve("@xterm/xterm/css/xterm.css");
  expect(essence(XTERM_CSS)).toBe(essence(readFileSync(path, "utf8")));
});
