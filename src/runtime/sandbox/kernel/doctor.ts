import { AgentVmError } from "../../../api/errors.ts";
import { unlessAborted } from "../../../base/within.ts";
import { vmOptionsSchema } from "../../options.ts";
import { KernelSandboxFactory } from "./factory.ts";
import { type Check, required } from "./host-checks/check.ts";
import { checkProcMount, checkUserNamespaces } from "./host-checks/namespaces.ts";
import { checkChildren, checkNode, checkPlatform, checkTools } from "./host-checks/programs.ts";
import { checkSharedCounts } from "./host-checks/shared-counts.ts";
import { trialRemedies } from "./host-checks/trial-remedies.ts";
import {
  checkCgroups,
  checkCores,
  checkNetwork,
  checkProcessLimit,
  checkSeccomp,
  checkSharedFolders,
  checkSharedMemory,
  checkUser,
  checkWatches,
} from "./host-checks/walls.ts";
import { findTools } from "./tools.ts";

interface Diagnosis {
  /** `true` if VMs can run on this host. */
  ok: boolean;
  checks: Check[];
}

/**
 * Milliseconds for the trial VM. A boot takes 0.1 s, and the first boot of a server 0.5 s. On a busy host with slow disks that was
 * more than 10 s: the server copies hundreds of small files of /etc, and the kernel waits for grace periods of RCU when it makes
 * cgroups and namespaces, and dismantles the namespaces of a server that was killed.
 */
const TRIAL_TIMEOUT_MS = 60_000;

/**
 * Checks all requirements of the kernel sandbox, and boots a VM at the end.
 *
 * @param trialMs milliseconds for the VM, from its preparation to its end
 */
export async function diagnose(trialMs = TRIAL_TIMEOUT_MS): Promise<Diagnosis> {
  const needed = [checkPlatform, checkTools, checkUserNamespaces, checkProcMount, checkChildren];
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
    checkWatches(),
    checkSharedCounts(),
    checkSharedFolders(),
    checkCores(),
    await checkNetwork(),
    await checkVm(trialMs),
  );
  return { ok: checks.every(({ ok }) => ok), checks };
}

/** Boots a VM and runs a program in it: entering a VM takes other system calls than booting it. */
async function checkVm(trialMs: number): Promise<Check> {
  const started = performance.now();
  const signal = AbortSignal.timeout(trialMs);
  let step = "";
  const waitFor = <Value>(what: string, work: () => Promise<Value>): Promise<Value> => {
    step = what;
    return unlessAborted(work(), signal);
  };
  const factory = new KernelSandboxFactory(vmOptionsSchema.parse({}));
  try {
    await waitFor("the files that all VMs share", () => factory.prepare());
    // A boot that the signal ends says itself which program it has waited for.
    const sandbox = await factory.boot(signal);
    try {
      await waitFor("its first program", () => runTrial(sandbox));
    } finally {
      const ended = sandbox.dispose();
      if (!signal.aborted) await waitFor("its end", () => ended);
    }
    return required({
      name: "a VM",
      ok: true,
      detail: `booted and ended in ${Math.round(performance.now() - started)} ms`,
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const isKnown = error instanceof AgentVmError || !signal.aborted;
    const message = isKnown ? reason : `no answer within ${trialMs / 1000} s, waiting for ${step}`;
    return required({ name: "a VM", ok: false, detail: message, fixes: trialRemedies(message) });
  } finally {
    const closed = factory.close();
    // Files that are being made when the time is over go later. The diagnosis does not wait for them.
    if (signal.aborted) closed.catch(() => undefined);
    else await closed;
  }
}

async function runTrial({ processes }: Awaited<ReturnType<KernelSandboxFactory["boot"]>>): Promise<void> {
  const settings = { env: {}, cwd: "/", stdin: false };
  // The boot's spawner is inside already. Without it, the next program enters the VM as later ones do.
  const end = await processes.spawn({ ...settings, line: "read -r _; kill -KILL $PPID", stdin: true });
  // It is reported as started by now.
  end.closeStdin();
  await end.exited;
  const trial = { ...settings, command: findTools().cat, args: ["/proc/self/status"] };
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
    `  ${!ok ? "FAIL" : fixes.length > 0 ? "warn" : "ok  "}  ${name.padEnd(width)}  ${detail}`,
    ...fixes.map((fix) => `        ${" ".repeat(width)}  -> ${fix}`),
  ]);
  return lines.join("\n");
}
