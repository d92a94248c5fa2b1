#!/usr/bin/env node
import { diagnose, formatDiagnosis } from "./runtime/sandbox/kernel/doctor.ts";

/** `npm run doctor`: what the kernel sandbox needs, what of it is here, and how to get the rest. */
const diagnosis = await diagnose();
console.log(formatDiagnosis(diagnosis));
console.log(diagnosis.ok ? "\nVMs can run here." : "\nVMs cannot run here yet.");
process.exitCode = diagnosis.ok ? 0 : 1;
