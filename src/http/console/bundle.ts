import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

/*
 * The files of the console. A clone bundles them with esbuild, a development dependency, when a browser first asks. In the
 * package this module reads files that `npm run build` has bundled (scripts/package/console.ts writes it).
 */

/** A file that the server sends to a browser. Its name has a hash of its content, except `main.js` and `main.css`. */
export interface ConsoleFile {
  name: string;
  content: Uint8Array;
}

export interface ConsoleBundle {
  /** `main.js`, `main.css`, and a chunk for each part that a page loads when it is needed. */
  files: ConsoleFile[];
  /** Paths of the modules inside, for their licences. */
  modules: string[];
}

export async function bundleConsole(): Promise<ConsoleBundle> {
  const { build } = await import("esbuild");
  const source = fileURLToPath(new URL("../../console/", import.meta.url));
  const { outputFiles, metafile } = await build({
    absWorkingDir: source,
    metafile: true,
    entryPoints: [`${source}main.tsx`],
    outdir: "/console",
    entryNames: "[name]",
    chunkNames: "[name]-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    target: "es2022",
    minify: true,
    write: false,
    legalComments: "none",
    logLevel: "silent",
    jsx: "automatic",
    jsxImportSource: "preact",
    conditions: ["agent-vm-source"],
    define: { "process.env.NODE_ENV": '"production"' },
    tsconfigRaw: { compilerOptions: { jsx: "react-jsx", jsxImportSource: "preact" } },
  });
  const files = outputFiles.map(({ path, contents }) => ({
    name: path.slice(path.lastIndexOf("/") + 1),
    content: contents,
  }));
  return { files, modules: Object.keys(metafile.inputs).map((path) => resolve(source, path)) };
}
