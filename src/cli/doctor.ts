import process from "node:process";
import { diagnose, formatDiagnosis } from "../runtime/sandbox/kernel/doctor.ts";

/** Prints the kernel sandbox's requirements, and how to install missing parts. Exits 1 if VMs cannot run on this host. */
export async function doctor(): Promise<void> {
  const diagnosis = await diagnose();
  const { ok, checks } = diagnosis;
  const count = checks.filter((check) => check.ok && check.fixes.length > 0).length;
  const warnings = count === 0 ? "" : ` ${count} ${count === 1 ? "warning" : "warnings"}.`;
  console.log(formatDiagnosis(diagnosis));
  console.log(ok ? `\nVMs can run here.${warnings}` : "\nVMs cannot run here yet.");
  process.exitCode = ok ? 0 : 1;
}
