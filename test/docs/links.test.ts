import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { documents, ROOT, readDocument } from "./blocks.ts";

/** Returns the anchors of a document's headings, as GitHub makes them. */
function anchorsOf(path: string): string[] {
  const headings = [...readDocument(path).matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) => title);
  return headings.map((title) =>
    title
      .toLowerCase()
      .replace(/[^\w -]/g, "")
      .replaceAll(" ", "-"),
  );
}

/** Returns the files that the links of a document lead to, relative to the root, and links outside of the package. */
function targetsOf(path: string): string[] {
  const links = [...readDocument(path).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
  const files = links.map((target) => target.split("#")[0] ?? "");
  return files
    .filter((file) => file !== "" && !/^https?:/.test(file))
    .map((file) => join(dirname(path), file));
}

const { files } = JSON.parse(readDocument("package.json")) as { files: string[] };
const isPacked = (path: string) =>
  [...files, "package.json"].some((entry) => path === entry || path.startsWith(`${entry}/`));

test("every link of a document in the package leads into the package", () => {
  const links = documents()
    .filter(isPacked)
    .flatMap((path) => targetsOf(path).map((target) => ({ path, target })));
  expect(links.filter(({ target }) => !isPacked(target))).toEqual([]);
  expect(links.length).toBeGreaterThan(100);
});

test.each(documents())("every link of %s has a target", (path) => {
  const links = [...readDocument(path).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
  const broken = links.filter((target) => {
    if (/^https?:/.test(target)) return false;
    const [file = "", anchor] = target.split("#");
    const found = file === "" ? path : join(dirname(path), file);
    if (!existsSync(join(ROOT, found))) return true;
    return anchor !== undefined && !anchorsOf(found).includes(anchor);
  });
  expect(broken).toEqual([]);
});
