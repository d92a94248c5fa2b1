// @module-tag slow
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { expect, test } from "vitest";

const source = (path: string) => fileURLToPath(new URL(`../../src/${path}`, import.meta.url));

/** Bundles a module for browsers. */
async function bundle(entry: string): Promise<{ builtins: string[]; code: string }> {
  const outDir = await mkdtemp(join(tmpdir(), "agent-vm-bundle-"));
  const builtins: string[] = [];
  try {
    await build({
      configFile: false,
      logLevel: "silent",
      plugins: [
        {
          name: "find-node-modules",
          enforce: "pre",
          resolveId(id, importer) {
            if (isBuiltin(id)) builtins.push(`${id} from ${importer}`);
          },
        },
      ],
      build: { outDir, lib: { entry, formats: ["es"], fileName: "bundle" }, minify: false },
    });
    const files = await readdir(outDir);
    const codes = await Promise.all(files.map((file) => readFile(join(outDir, file), "utf8")));
    return { builtins, code: codes.join("\n") };
  } finally {
    await rm(outDir, { recursive: true });
  }
}

test("the client bundles for browsers without a Node module", async () => {
  const { builtins, code } = await bundle(source("client/index.ts"));
  expect(builtins).toEqual([]);
  expect(code).not.toMatch(/from\s*["']node:/);
  expect(code).not.toMatch(/import\(\s*["']node:/);
  expect(code).toContain("createClient");
});

test("the argument schemas bundle for browsers without a Node module", async () => {
  const { builtins, code } = await bundle(source("api/methods/parse.ts"));
  expect(builtins).toEqual([]);
  expect(code).toContain("parseArgs");
});
