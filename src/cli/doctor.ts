import process from "node:process";
import { diagnose, formatDiagnosis } from "../runtime/sandbox/kernel/doctor.ts";

/** Prints the kernel sandbox's requirements, and how to install missing parts. Exits 1 if VMs cannot run on this host. */
export async function doctor(): Promise<void> {
  const diagnosis = await diagnose();
  console.log(formatDiagnosis(diagnosis));
  console.log(diagnosis.ok ? "\nVMs can run here." : "\nVMs cannot run here yet.");
  process.exitCode = diagnosis.ok ? 0 : 1;
}
