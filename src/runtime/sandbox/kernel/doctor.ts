import { vmOptionsSchema } from "../../options.ts";
import { KernelSandboxFactory } from "./factory.ts";
import { type Check, required } from "./host-checks/check.ts";
import { checkProcMount, checkUserNamespaces } from "./host-checks/namespaces.ts";
import {
  checkChildren,
  checkNode,
  checkPlatform,
  checkTools,
  checkVersions,
} from "./host-checks/programs.ts";
import { trialRemedies } from "./host-checks/trial-remedies.ts";
import {
  checkCgroups,
  checkNetwork,
  checkProcessLimit,
  checkSeccomp,
  checkSharedFolders,
  checkSharedMemory,
  checkUser,
} from "./host-checks/walls.ts";
import { findTools } from "./tools.ts";

interface Diagnosis {
  /** `true` if VMs can run on this host. */
  ok: boolean;
  checks: Check[];
}

const TRIAL_TIMEOUT_MS = 10_000;

/** Checks all requirements of the kernel sandbox, and boots a VM at the end. */
export async function diagnose(): Promise<Diagnosis> {
  const needed = [
    checkPlatform,
    checkTools,
    checkVersions,
    checkUserNamespaces,
    checkProcMount,
    checkChildren,
  ];
  const checks: Check[] = [];
  for (const check of needed) {
    checks.push(check());
    // The next checks would fail for the same reason.
    if (checks.some(({ ok }) => !ok)) return { ok: false, checks };
  }
  checks.push(
    checkNode(),
    checkUser(),
    checkCgroups(),
    checkProcessLimit(),
    checkSeccomp(),
    checkSharedMemory(),
    checkSharedFolders(),
    await checkNetwork(),
    await checkVm(),
  );
  return { ok: checks.every(({ ok }) => ok), checks };
}

/** Boots a VM and runs a program in it: entering a VM takes other system calls than booting it. */
async function checkVm(): Promise<Check> {
  const started = performance.now();
  try {
    const factory = new KernelSandboxFactory(vmOptionsSchema.parse({}));
    const sandbox = await factory.boot(AbortSignal.timeout(TRIAL_TIMEOUT_MS));
    try {
      await runTrial(sandbox);
    } finally {
      await sandbox.dispose();
    }
    return required("a VM", true, `booted and ended in ${Math.round(performance.now() - started)} ms`);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return required("a VM", false, message, ...trialRemedies(message));
  }
}

async function runTrial({ processes }: Awaited<ReturnType<KernelSandboxFactory["boot"]>>): Promise<void> {
  const trial = { command: findTools().cat, args: ["/proc/self/status"], env: {}, cwd: "/", stdin: false };
  const program = await processes.spawn(trial);
  let errors = "";
  program.onOutput((stream, data) => {
    if (stream === "stderr") errors += data;
  });
  const { exitCode } = await program.exited;
  if (exitCode !== 0) throw new Error(`A program in the VM ended with ${exitCode}: ${errors}`);
}

/** Formats a diagnosis as a table, for `npm run doctor` and for a server that cannot start. */
export function formatDiagnosis({ checks }: Diagnosis): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.flatMap(({ name, ok, detail, fixes }) => [
    `  ${ok ? "ok  " : "FAIL"}  ${name.padEnd(width)}  ${detail}`,
    ...fixes.map((fix) => `        ${" ".repeat(width)}  -> ${fix}`),
  ]);
  return lines.join("\n");
}
