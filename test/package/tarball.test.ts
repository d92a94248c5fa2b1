// @module-tag slow
import { globSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build as esbuild } from "esbuild";
import ts from "typescript";
import { build as vite } from "vite";
import { beforeAll, describe, expect, test } from "vitest";
import { openInBrowser } from "../support/chromium.ts";
import { installPacked, installRuntime, PACKAGE_TIMEOUT_MS, ROOT, RUNTIME_NAMES } from "../support/packed.ts";
import { runProgram } from "../support/program.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const MAX_INSTALLED_BYTES = 100 * 1024 * 1024;
/** README and docs/client.md name 41 kB. */
const MAX_CLIENT_BYTES = 42_000;

/** Uses requests, a connection, an event and bytes. */
const CLIENT = `
import { createClient } from "agent-vm/client";
const client = createClient({ endpoint: process.env.ENDPOINT });
const vm = client.vm.getOrCreate(process.argv[2]);
console.log((await vm.exec("echo from $(hostname)")).stdout.trim());
await vm.writeFile("/workspace/x", "file");
const decoder = new TextDecoder();
console.log(decoder.decode(await vm.readFile("/workspace/x")));
const output = new Promise((resolve) => vm.connect().on("processOutput", ({ data }) => resolve(decoder.decode(data))));
await vm.spawn("echo", ["event"]);
console.log((await output).trim());
await client.dispose();
`;
const CLIENT_OUTPUT = "from agentos\nfile\nevent\n";

const SERVER = `
import { exitOnSignals, listen, setup, vmActor } from "agent-vm";
exitOnSignals();
const port = Number(process.env.PORT);
await listen(setup({ use: { vm: vmActor() }, port, dataDir: process.env.AGENT_VM_DATA }));
console.log("Access\\n");
`;

const folder = temporaryFolder();
let paths: string[];
let server: ServerProcess;
beforeAll(async () => {
  paths = await installPacked(folder);
  writeFileSync(join(folder, "client.js"), CLIENT);
  const program = join(folder, "node_modules/agent-vm/dist/cli/main.js");
  server = await startServerProcess({ program, args: ["serve"], env: { AGENT_VM_RUNTIME: "kernel" } });
  return async () => void (await server.stop("SIGTERM"));
}, PACKAGE_TIMEOUT_MS);

test("the archive has only files that users need", () => {
  const allowed =
    /^(dist|deploy|docs|examples)\/|^compose(\.scale)?\.yaml$|^[A-Z]+\.md$|^LICENSE$|^package\.json$/;
  expect(paths.filter((path) => !allowed.test(path))).toEqual([]);
  expect(paths.filter((path) => path.endsWith(".pl"))).toEqual([]);
});

test("an install needs no overrides, runs no install script, and is small", () => {
  const modules = join(folder, "node_modules");
  const lock = JSON.parse(readFileSync(join(folder, "package-lock.json"), "utf8"));
  const packages = Object.entries<{ hasInstallScript?: true }>(lock.packages);
  expect(packages.filter(([, { hasInstallScript }]) => hasInstallScript)).toEqual([]);
  expect(packages.map(([path]) => path)).not.toContain("node_modules/rivetkit");
  const files = globSync("**/*", { cwd: modules, withFileTypes: true }).filter((entry) => entry.isFile());
  const bytes = files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
  expect(bytes).toBeLessThan(MAX_INSTALLED_BYTES);
});

test("the licences of every bundled package are in the archive", () => {
  const notice = readFileSync(join(folder, "node_modules/agent-vm/dist/THIRD-PARTY-LICENSES.txt"), "utf8");
  for (const name of [
    "rivetkit 2.2.1",
    "hono ",
    "cbor-x ",
    "@hono/node-server ",
    "preact ",
    "@xterm/xterm ",
  ]) {
    expect(notice).toContain(`\n${name}`);
  }
  expect(notice).toContain("Apache License");
});

test("an installed server has the console", async () => {
  const document = await fetch(`${server.endpoint}/console`);
  expect(await document.text()).toContain("/console/assets/main.js");
  const script = await fetch(`${server.endpoint}/console/assets/main.js`);
  expect([script.status, script.headers.get("content-encoding")]).toEqual([200, "gzip"]);
  expect((await script.text()).length).toBeGreaterThan(1000);
});

test("the program, the library and the client work", async () => {
  const npx = (command: string) =>
    runProgram(["agent-vm", command], {
      program: "npx",
      cwd: folder,
      env: { npm_config_update_notifier: "false" },
    });
  expect(await npx("--version")).toEqual({ code: 0, stdout: "0.1.0\n", stderr: "" });
  expect((await npx("doctor")).stdout).toContain("VMs can run here.");
  const library = `
    import { createVm } from "agent-vm";
    const vm = await createVm();
    console.log((await vm.exec("echo bare")).stdout.trim());
    await vm.dispose("destroy");`;
  const bare = await runProgram(["--input-type=module", "-e", library], { cwd: folder });
  expect(bare).toEqual({ code: 0, stdout: "bare\n", stderr: "" });
  const env = { ENDPOINT: server.endpoint };
  const end = await runProgram(["client.js", "node"], { cwd: folder, env });
  expect(end).toEqual({ code: 0, stdout: CLIENT_OUTPUT, stderr: "" });
});

describe.each(RUNTIME_NAMES)("on %s", (name) => {
  test(
    "the client works, and the server says in one line that it does not",
    async (context) => {
      const [program, ...args] = await installRuntime(name, folder).catch((error: Error) =>
        context.skip(`npm cannot install ${name} here: ${error.message.split("\n")[0]}`),
      );
      const env = { ENDPOINT: server.endpoint, NO_COLOR: "1" };
      const run = (...given: string[]) => runProgram([...args, ...given], { program, cwd: folder, env });
      expect((await run("client.js", name)).stdout).toBe(CLIENT_OUTPUT);
      const line =
        /^agent-vm needs Node 22\.18 or newer for its server and its command line, this is (Node|Bun|Deno) [\d.]+\n$/;
      const served = await run("node_modules/agent-vm/dist/cli/main.js", "serve");
      expect(served).toEqual({ code: 1, stdout: "", stderr: expect.stringMatching(line) });
      writeFileSync(
        join(folder, "import.js"),
        'await import("agent-vm").catch(({ message }) => console.log(message));',
      );
      expect((await run("import.js")).stdout).toMatch(line);
    },
    PACKAGE_TIMEOUT_MS,
  );
});

const PAGE = `
import { createClient } from "agent-vm/client";
import type { registry } from "agent-vm/server";
const endpoint = location.hash.slice(1);
const client = createClient<typeof registry>({ endpoint });
const vm = client.vm.getOrCreate("browser");
const { stdout, exitCode } = await vm.exec("echo page");
const code: number = exitCode;
// @ts-expect-error the output is text
const wrong: number = stdout;
// @ts-expect-error there is no such actor
client.other;
await vm.writeFile("/workspace/report", stdout + code);
`;

test(
  "a browser's bundle with the client is small and works in chromium",
  async (context) => {
    writeFileSync(join(folder, "page.ts"), PAGE);
    writeFileSync(
      join(folder, "index.html"),
      '<!doctype html><script type="module" src="/page.ts"></script>',
    );
    await vite({ root: folder, configFile: false, logLevel: "silent", base: "./" });
    const scripts = globSync("dist/assets/*.js", { cwd: folder });
    const sizes = scripts.map((path) => gzipSync(readFileSync(join(folder, path))).byteLength);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(MAX_CLIENT_BYTES);
    await openInBrowser(context, join(folder, "dist"), server.endpoint);
    const read = `
    import { createClient } from "agent-vm/client";
    const vm = createClient({ endpoint: process.env.ENDPOINT }).vm.getOrCreate("browser");
    while (!(await vm.exists("/workspace/report"))) await new Promise((resolve) => setTimeout(resolve, 200));
    process.stdout.write(await vm.readFile("/workspace/report"));`;
    const options = { cwd: folder, env: { ENDPOINT: server.endpoint } };
    expect((await runProgram(["--input-type=module", "-e", read], options)).stdout).toBe("page\n0");
  },
  PACKAGE_TIMEOUT_MS,
);

test("a server in one file, bundled with esbuild, boots a VM without a file beside it", async () => {
  writeFileSync(join(folder, "server.js"), SERVER);
  const outfile = join(folder, "single", "server.mjs");
  await esbuild({
    entryPoints: [join(folder, "server.js")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    banner: {
      js: 'import { createRequire as from } from "node:module"; const require = from(import.meta.url);',
    },
    logLevel: "error",
  });
  const single = await startServerProcess({ program: outfile, env: { AGENT_VM_RUNTIME: "kernel" } });
  const env = { ENDPOINT: single.endpoint };
  expect((await runProgram(["client.js", "single"], { cwd: folder, env })).stdout).toBe(CLIENT_OUTPUT);
  expect(await single.stop("SIGTERM")).toBe(0);
});

const SERVER_PROGRAM = `
import { setup, vmActor } from "agent-vm";
import { createClient } from "agent-vm/client";
import { actor, event } from "agent-vm/rivetkit";
const counter = actor({
  state: { count: 0 },
  events: { hit: event<number>() },
  actions: { add: (c, by: number) => (c.state.count += by) },
});
const registry = setup({ use: { vm: vmActor(), counter } });
const client = createClient<typeof registry>({ vms: ["vm"] });
const total: number = await client.counter.getOrCreate("a").add(1);
const output: string = (await client.vm.getOrCreate("a").exec("echo")).stdout;
client.counter.getOrCreate("a").connect().on("hit", (count) => count.toFixed());
// @ts-expect-error a number
await client.counter.getOrCreate("a").add("1");
// @ts-expect-error text
const wrong: number = (await client.vm.getOrCreate("a").exec("echo")).stdout;
`;

const PAGE_WITH_PARTS = `
import { createClient } from "agent-vm/client";
import { useEvent, useVm } from "agent-vm/react";
import "agent-vm/terminal-element";
import type { registry } from "agent-vm/server";
const element = document.createElement("agent-vm-terminal");
element.vm = createClient<typeof registry>("").vm.get("alice");
// @ts-expect-error a VM, and no name of one
element.vm = "alice";
export function Component() {
  useEvent(useVm("alice"), "portOpened", ({ port }) => port.toFixed());
}
`;

/** Compiler options of a user's program. `skipLibCheck: false` checks every type of the package too. */
const STRICT: ts.CompilerOptions = {
  strict: true,
  skipLibCheck: false,
  noEmit: true,
  target: ts.ScriptTarget.ES2022,
};

test.each<[string, string, ts.CompilerOptions]>([
  [
    "server's",
    SERVER_PROGRAM,
    {
      module: ts.ModuleKind.NodeNext,
      lib: ["lib.es2022.d.ts"],
      typeRoots: [join(ROOT, "node_modules/@types")],
      types: ["node"],
    },
  ],
  [
    "browser's, without the types of Node,",
    PAGE,
    {
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      lib: ["lib.es2022.d.ts", "lib.dom.d.ts"],
      types: [],
    },
  ],
  [
    "page's with React and the terminal element,",
    PAGE_WITH_PARTS,
    {
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      lib: ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
      types: [],
      paths: { react: [join(ROOT, "node_modules/@types/react/index.d.ts")] },
    },
  ],
])(
  "a %s types compile with skipLibCheck: false",
  (_whose, code, options) => {
    const file = join(folder, "typed.ts");
    writeFileSync(file, code);
    const program = ts.createProgram([file], { ...STRICT, ...options });
    const host = { getCanonicalFileName: String, getCurrentDirectory: () => folder, getNewLine: () => "\n" };
    expect(ts.formatDiagnostics(ts.getPreEmitDiagnostics(program), host)).toBe("");
  },
  PACKAGE_TIMEOUT_MS,
);

test(
  "an editor documents the package's methods and leads to their declarations",
  () => {
    const file = join(folder, "edited.ts");
    const code = `
    import { createClient } from "agent-vm/client";
    import type { registry } from "agent-vm/server";
    createClient<typeof registry>("").vm.getOrCreate("x").exec;`;
    const options = { ...STRICT, module: ts.ModuleKind.NodeNext, types: [] };
    const service = ts.createLanguageService({
      getCompilationSettings: () => options,
      getScriptFileNames: () => [file],
      getScriptVersion: () => "1",
      getScriptSnapshot(name) {
        const text = name === file ? code : ts.sys.readFile(name);
        return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
      },
      getCurrentDirectory: () => folder,
      getDefaultLibFileName: ts.getDefaultLibFilePath,
      fileExists: (name) => name === file || ts.sys.fileExists(name),
      readFile: ts.sys.readFile,
      directoryExists: ts.sys.directoryExists,
      getDirectories: ts.sys.getDirectories,
    });
    const place = code.indexOf("exec;");
    const hover = service.getQuickInfoAtPosition(file, place);
    expect(ts.displayPartsToString(hover?.documentation)).toContain("Runs a shell line to its end.");
    expect(hover?.tags?.map(({ name }) => name)).toContain("example");
    const [definition] = service.getDefinitionAtPosition(file, place) ?? [];
    expect(definition?.fileName).toBe(join(folder, "node_modules/agent-vm/dist/api/methods/processes.d.ts"));
  },
  PACKAGE_TIMEOUT_MS,
);
