import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type Plugin, rolldown } from "rolldown";
import { dts } from "rolldown-plugin-dts";
import { thirdPartyNotice } from "./licences.ts";

/** A module of `dist` that gets its development dependencies inside. */
interface Bundle {
  /** Path below `dist`, without its extension. */
  module: string;
  platform: "node" | "neutral" | "browser";
}

const BUNDLES: readonly Bundle[] = [
  { module: "rivet/rivetkit", platform: "node" },
  { module: "client/rivet/cbor", platform: "neutral" },
  { module: "element/xterm", platform: "browser" },
];
/** Modules whose types get the types of their dependencies inside. Together, because both name the same classes. */
const TYPES: readonly string[] = ["rivet/rivetkit", "client/rivet/rivetkit"];

/** RivetKit hides these imports from bundlers. */
const HIDDEN_IMPORTS: Readonly<Record<string, string>> = {
  nodeServerModule: "@hono/node-server",
  nodeWsModule: "@hono/node-ws",
};

/** Packages of parts that agent-vm turns off: RivetKit's inspector, and its servers for Bun and Deno. */
const UNREACHABLE: ReadonlySet<string> = new Set(["tar", "hono/bun", "hono/deno"]);

/**
 * Bundles RivetKit and the codec into `dist`, with their types and licences, so that an installed package needs neither.
 *
 * @param dependencies packages that stay packages
 * @param others further modules that `dist` contains
 */
export async function bundle(
  root: string,
  dependencies: readonly string[],
  others: readonly string[],
): Promise<void> {
  const dist = join(root, "dist");
  const external = (names: readonly string[]) => new RegExp(`^(node:|(${names.join("|")})(/|$))`);
  const inside = new Set<string>(others);
  for (const { module, platform } of BUNDLES) {
    const build = await rolldown({
      input: join(dist, `${module}.js`),
      platform,
      external: external(dependencies),
      // The package's entry for Node loads a native part, which has an install script.
      resolve: { alias: { "cbor-x": join(dirname(resolve("cbor-x/package.json")), "index.js") } },
      plugins: [repairs()],
    });
    const { output } = await build.write({ file: join(dist, `${module}.js`), codeSplitting: false });
    for (const chunk of output) if (chunk.type === "chunk") addAll(inside, chunk.moduleIds);
  }
  const types = await rolldown({
    input: Object.fromEntries(TYPES.map((module) => [module, join(dist, `${module}.d.ts`)])),
    external: external(dependencies.filter((name) => !Object.hasOwn(OWN_TYPES, name))),
    plugins: [withOwnTypes(), dts({ dtsInput: true, emitDtsOnly: true, tsconfig: false, resolver: "oxc" })],
  });
  const { output } = await types.write({ dir: dist, chunkFileNames: "rivet/rivetkit-types.d.ts" });
  for (const chunk of output) if (chunk.type === "chunk") addAll(inside, chunk.moduleIds);
  writeFileSync(join(dist, "THIRD-PARTY-LICENSES.txt"), thirdPartyNotice(inside));
}

const resolve = (id: string) => createRequire(import.meta.url).resolve(id);

function addAll(set: Set<string>, items: readonly string[]): void {
  for (const item of items) set.add(item);
}

/** Shows RivetKit's hidden imports to the bundler, and leaves out packages of unreachable parts. */
function repairs(): Plugin {
  const shown = new Set<string>();
  let hasRivetKit = false;
  return {
    name: "repairs",
    transform(code, id) {
      if (!id.includes("/node_modules/rivetkit/")) return undefined;
      hasRivetKit = true;
      return code.replace(/(import\(\s*(?:\/\*.*?\*\/\s*)?)(\w+)(\s*\))/g, (whole, before, name, after) => {
        const target = HIDDEN_IMPORTS[name];
        if (target === undefined) return whole;
        shown.add(name);
        return `${before}${JSON.stringify(target)}${after}`;
      });
    },
    resolveId: (id) => (UNREACHABLE.has(id) ? `\0unreachable:${id}` : undefined),
    load(id) {
      if (!id.startsWith("\0unreachable:")) return undefined;
      return `export const ${["extract", "serveStatic"].map((name) => `${name} = undefined`).join(", ")};`;
    },
    buildEnd() {
      // The codec's bundle has no RivetKit.
      const missing = Object.keys(HIDDEN_IMPORTS).filter((name) => hasRivetKit && !shown.has(name));
      if (missing.length > 0) throw new Error(`RivetKit no longer imports ${missing.join(", ")}`);
    },
  };
}

/**
 * Types in place of the types of two packages: of RivetKit's database, whose own types do not compile and which agent-vm
 * leaves out, and of the logger, whose own types need the types of Node in a client's program too.
 */
const OWN_TYPES: Readonly<Record<string, string>> = {
  "@rivetkit/sqlite-vfs": "export interface ISqliteVfs {}",
  pino: `
    type Log = (entry: object | string, message?: string) => void;
    export interface Logger {
      level: string;
      trace: Log; debug: Log; info: Log; warn: Log; error: Log; fatal: Log;
      child(bindings: object): Logger;
    }`,
};

function withOwnTypes(): Plugin {
  const PREFIX = "\0types:";
  return {
    name: "own-types",
    resolveId: {
      order: "pre",
      handler: (id) => (Object.hasOwn(OWN_TYPES, id) ? `${PREFIX}${id}.d.ts` : undefined),
    },
    load: (id) => (id.startsWith(PREFIX) ? OWN_TYPES[id.slice(PREFIX.length, -".d.ts".length)] : undefined),
  };
}
