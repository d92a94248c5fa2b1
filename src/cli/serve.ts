import { appendFileSync } from "node:fs";
import process from "node:process";
import { invalidArgument } from "../api/errors.ts";
import { makeFolder } from "../base/private-folder.ts";
import { listenForOperations } from "../http/engine-listener.ts";
import { readEnvironment } from "../http/environment.ts";
import { listen } from "../http/listen.ts";
import { createLogger } from "../http/logger.ts";
import { settingsOf } from "../http/server-settings.ts";
import { runInProduction } from "../rivet/production.ts";
import { logRejections } from "../rivet/rejections.ts";
import { vmOptionsSchema } from "../runtime/options.ts";
import { openShared } from "../runtime/vm-shared.ts";
import { registry } from "../server.ts";
import { type BannerFacts, banner } from "./banner.ts";
import { exitOnSignals } from "./exit-signals.ts";

/**
 * Starts the ready-made server, configured by environment variables, and prints its banner.
 *
 * @throws Error if the environment is malformed, VMs cannot run here, or the server cannot listen.
 */
export async function serve({ vms = true }: { vms?: boolean } = {}): Promise<void> {
  runInProduction();
  if (!vms) process.env.AGENT_VM_VMS = "0";
  const { dataDir, drainMs, runtime, token, vms: hasVms, auditFile } = readEnvironment(process.env);
  const logger = createLogger();
  const { engine, listening, checkEngine, load } = settingsOf(registry);
  logRejections(logger);
  makeDataFolder(dataDir);
  if (auditFile !== undefined) assertWritable(auditFile);
  const sandbox = hasVms ? await preflight(runtime) : undefined;
  exitOnSignals({ drainMs });
  let endpoint: string | undefined;
  // Behind an engine clients do not come to a server that does not know the others: the registry connects to the engine.
  if (listening !== undefined) endpoint = (await listen(registry)).endpoint;
  else {
    await listenForOperations(registry);
    await load?.();
    registry.start();
  }
  checkEngine?.().catch((error: unknown) => logger.error({ msg: "the engine was not checked", err: error }));
  process.stdout.write(banner({ endpoint, engine, dataDir, ...sandbox, hasToken: token !== undefined }));
}

function makeDataFolder(path: string): void {
  try {
    makeFolder(path);
  } catch (error) {
    throw invalidArgument("AGENT_VM_DATA", `a folder that can be made (${(error as Error).message})`, path);
  }
}

/** An audit that is lost line by line would go unnoticed. */
function assertWritable(auditFile: string): void {
  try {
    appendFileSync(auditFile, "", { mode: 0o600 });
  } catch (error) {
    const expected = `a file that the server can write (${(error as Error).message})`;
    throw invalidArgument("AGENT_VM_AUDIT_FILE", expected, auditFile);
  }
}

/**
 * Makes sure that VMs can run here before a client asks for one.
 *
 * @throws Error with the doctor's findings.
 */
async function preflight(
  runtime: "kernel" | "memory",
): Promise<Pick<BannerFacts, "isolation" | "network" | "visible">> {
  if (runtime === "kernel") {
    const { diagnose, formatDiagnosis } = await import("../runtime/sandbox/kernel/doctor.ts");
    const diagnosis = await diagnose();
    if (!diagnosis.ok) throw new Error(`VMs cannot run here.\n${formatDiagnosis(diagnosis)}`);
  }
  return await openShared(vmOptionsSchema.parse({ runtime })).factory.describe();
}
