import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

/** The folder with the frameworks, which has its own lock. */
export const INTEGRATIONS = import.meta.dirname;

const MAX_OUTPUT_BYTES = 10_000_000;

/** Installs unless this lock is installed. The lock file keeps out a second process. */
const INSTALL = `
exec 9> .lock && flock 9
sum=$(sha256sum package-lock.json)
[ "$(cat node_modules/.installed 2>/dev/null)" = "$sum" ] && exit
npm ci --ignore-scripts --no-audit --no-fund --prefer-offline --loglevel=error && echo "$sum" > node_modules/.installed
`;

const run = promisify(execFile);

/** Installs the frameworks that the suites use, once. */
export async function installFrameworks(): Promise<void> {
  await run("bash", ["-c", INSTALL], { cwd: INTEGRATIONS });
}

/** Runs a program of this folder. @returns its exit code and its whole output */
export async function runSuite(
  file: string,
  env: Record<string, string>,
): Promise<{ code: number; output: string }> {
  const options = { cwd: INTEGRATIONS, env: { ...process.env, ...env }, maxBuffer: MAX_OUTPUT_BYTES };
  return await outcome(run(process.execPath, ["--test-reporter=spec", join("suites", file)], options));
}

/** Checks the types of the suites, and with them those of the adapters, against the frameworks' own. */
export async function checkTypes(): Promise<{ code: number; output: string }> {
  const tsc = join(INTEGRATIONS, "../../node_modules/typescript/bin/tsc");
  return await outcome(run(process.execPath, [tsc, "--project", INTEGRATIONS], { cwd: INTEGRATIONS }));
}

async function outcome(
  running: Promise<{ stdout: string; stderr: string }>,
): Promise<{ code: number; output: string }> {
  try {
    const { stdout, stderr } = await running;
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout = "", stderr = "" } = error as { code?: number; stdout?: string; stderr?: string };
    return { code: typeof code === "number" ? code : -1, output: stdout + stderr };
  }
}
