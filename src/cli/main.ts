#!/usr/bin/env node
import process from "node:process";
import { unsupported } from "../base/supported.ts";

// An older Node fails in a dependency with an error that names no remedy. This file itself loads on Node 18.
const reason = unsupported(process.versions);
if (reason !== undefined) {
  process.stderr.write(`${reason}\n`);
  process.exit(1);
}

// Programs of VMs can keep threads of the pool waiting. Node reads this when the pool begins, which is before other modules have loaded.
process.env.UV_THREADPOOL_SIZE ||= "16";

const [only = "", ...others] = process.argv.slice(2);
if (others.length === 0 && (only === "--version" || only === "-V")) {
  // The version needs no command. Loading the commands would take longer than all the rest.
  const { packageVersion } = await import("../base/package-version.ts");
  process.stdout.write(`${packageVersion()}\n`);
} else {
  const { runProgram } = await import("./program.ts");
  await runProgram();
}
